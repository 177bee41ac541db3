"""Pictures and videos that tests make: whole, broken, with known faces; and a camera that plays one."""
