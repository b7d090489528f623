// Small conveniences; every page works without this file.
"use strict";

// Count down to the moment when a rate-limited request may be tried again.
for (const element of document.querySelectorAll(".countdown")) {
  const end = Date.now() + Number(element.dataset.seconds) * 1000;
  const tick = () => {
    const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
    if (left === 0) {
      element.textContent = element.dataset.ready;
      clearInterval(timer);
      return;
    }
    const clock = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    element.textContent = element.dataset.waiting.replace("%s", clock);
  };
  const timer = setInterval(tick, 1000);
  tick();
}

// A form that talks to another server takes a moment: say so, and do not let it be sent twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.hasAttribute("hx-post") || form.method !== "post") return;
  for (const button of form.querySelectorAll("button")) {
    button.setAttribute("aria-busy", "true");
    setTimeout(() => { button.disabled = true; }, 0);
  }
});
// A page that comes back from the browser's history must not be stuck in that state.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const button of document.querySelectorAll("button[aria-busy]")) {
    button.removeAttribute("aria-busy");
    button.disabled = false;
  }
});
