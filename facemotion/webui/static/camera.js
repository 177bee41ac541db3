/* Works the camera of the Webcam tab. gradio's own button says "Record", which nothing here does, and its "Stop" leaves
   the camera on; this clicks it and switches the camera itself. A page that nobody sees sends nothing: the camera is off
   until it is looked at again. */
window.fmCamera = (() => {
  const wish = {video: {width: {ideal: 640}, height: {ideal: 480}, facingMode: "user"}};
  let wanted = false;    // between Start and Stop
  let on = false;        // the camera runs and frames are sent
  let busy = false;      // it is being switched
  let why = "";          // what ended it, if not the visitor

  const box = () => document.querySelector("#fm-camera");
  const video = () => box()?.querySelector("video");
  const isSeen = () => document.visibilityState !== "hidden" && Boolean(box()?.getClientRects().length);

  /* gradio sends a frame at every tick, however many are unanswered. The server reads only the newest; the others cost the
     browser its time, and the picture comes late. While this video seems to have no width, gradio takes no frame of it. */
  const leastMs = 30;      // between two frames: a camera has no newer one sooner
  const patienceMs = 2500; // an answer that does not come was an error, or the wait for a place
  const real = Object.getOwnPropertyDescriptor(HTMLVideoElement.prototype, "videoWidth").get;
  let sentAt = -Infinity, answered = true;
  let watched = false;     // whether the element is, that the drawn frames come in
  let last = "";           // when the newest of them was made

  function mayBeSent(now) {
    return now - sentAt >= (answered ? leastMs : patienceMs);
  }

  function gate(one) {
    if (Object.hasOwn(one, "videoWidth")) return;
    Object.defineProperty(one, "videoWidth", {get() {
      const now = performance.now();
      if (!mayBeSent(now)) return 0;
      queueMicrotask(() => { sentAt = now; answered = false; });  // gradio reads it several times for one frame
      return real.call(one);
    }});
  }

  /* The drawn frame comes in a hidden element (see webui/components/camera.py). The picture shows the last one until it
     is decoded. */
  function picture() {
    const there = box().querySelector("img.fm-drawn");
    if (there) return there;
    const made = document.createElement("img");
    made.className = "fm-drawn";
    made.alt = "The camera's picture with a numbered box around each face; the text beside it says the same";
    box().append(made);
    return made;
  }

  function show() {
    const drawn = document.querySelector("#fm-drawn data");
    if (!drawn || drawn.dataset.at === last) return;
    last = drawn.dataset.at;
    answered = true;
    if (wanted) picture().src = drawn.value;
  }

  function watch() {
    if (watched) return;
    watched = true;
    const changes = {attributeFilter: ["data-at"], childList: true, subtree: true};
    new MutationObserver(show).observe(document.querySelector("#fm-drawn"), changes);
  }

  async function until(find) {
    for (let tries = 0; tries < 200; tries += 1) {
      if (find()) return find();
      await new Promise(resolve => setTimeout(resolve, 50));
    }
    throw new Error("timeout");
  }

  /* The result is empty, or the name of what the browser refused. */
  async function open() {
    if (!navigator.mediaDevices) return "Insecure";
    try {
      const stream = await navigator.mediaDevices.getUserMedia(wish);
      const access = box().querySelector('[title="grant webcam access"] button');
      if (access) {
        stream.getTracks().forEach(track => track.stop());
        access.click();
      } else {
        video().srcObject = stream;
        await video().play();
      }
      const button = await until(() => box().querySelector('button[aria-label="capture photo"]'));
      await until(() => real.call(video()) > 0);
      gate(video());
      watch();
      video().srcObject.getVideoTracks()[0].onended = () => end("Ended");
      button.click();
      on = true;
      return "";
    } catch (error) {
      close();  // access may have been granted already
      return error.name || "Error";
    }
  }

  function close() {
    if (on) box()?.querySelector('button[aria-label="capture photo"]')?.click();
    on = false;
    video()?.srcObject?.getTracks().forEach(track => track.stop());
    if (video()) video().srcObject = null;
  }

  function end(reason) {
    if (!wanted) return;
    why = reason;
    document.querySelector("#fm-stop")?.click();
  }

  async function look() {
    if (!wanted || busy || on === isSeen()) return;
    busy = true;
    if (on) close();
    else {
      const refused = await open();
      if (refused) end(refused);
    }
    busy = false;
    if (!wanted) close();  // Stop was chosen while it opened
    look();  // it may have changed meanwhile
  }

  async function start() {
    busy = true;
    const refused = await open();
    wanted = !refused;
    busy = false;
    look();
    return refused;
  }

  async function stop() {
    wanted = false;
    close();
    await new Promise(resolve => setTimeout(resolve, 300));  // a frame that is under way
    box().querySelector("img.fm-drawn")?.remove();
    const reason = why;
    why = "";
    return reason;
  }

  document.addEventListener("visibilitychange", look);
  setInterval(look, 500);  // another of the page's own tabs may have been opened
  return {start, stop};
})();
