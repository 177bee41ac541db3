/* Names and roles that gradio leaves out: of the buttons of the example photos, which it makes anew when one is chosen,
   and of the head of an error, a button with a button inside. */
function mend() {
  for (const button of document.querySelectorAll(".fm-examples button.gallery-item:not([aria-label])")) {
    const file = button.querySelector("img")?.src.split("/").pop();
    const name = file && decodeURIComponent(file).split(".")[0].replaceAll("_", " ");
    if (name) button.setAttribute("aria-label", "Example photo: " + name);
  }
  for (const head of document.querySelectorAll(".toast-header[role=button]")) head.setAttribute("role", "group");
}
new MutationObserver(mend).observe(document.documentElement, {childList: true, subtree: true});

/* Gradio's slider tells that it was moved only when a pointer leaves it: the keyboard's end of a move counts too. */
document.addEventListener("keyup", event => {
  if (event.target.type !== "range" || event.key === "Tab") return;
  event.target.dispatchEvent(new Event("pointerup", {bubbles: true}));
});
