// Small conveniences; every page works without this file.
"use strict";

// Count down to the moment when a rate-limited request may be tried again.
const countDown = (element) => {
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
};
document.querySelectorAll(".countdown").forEach(countDown);

// A part of the page that the server refuses comes as a whole page that says why: show it, as without htmx. What asks
// by itself every few seconds keeps what is there, unless that is gone or not the person's any more.
const main = document.getElementById("main");
const trouble = document.getElementById("trouble");
const asksByItself = (element) => (element.getAttribute("hx-trigger") || "").startsWith("every");
const told = () => { trouble.hidden = false; };
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, elt } = event.detail;
  if (xhr.status < 400 || (asksByItself(elt) && ![403, 404].includes(xhr.status))) return;
  if (!xhr.response.includes('id="main"')) return told();
  Object.assign(event.detail, { shouldSwap: true, target: main, selectOverride: "#main > *", swapOverride: "innerHTML" });
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target !== main) return;
  main.querySelectorAll(".countdown").forEach(countDown);
  main.focus();
});
for (const fault of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(fault, (event) => asksByItself(event.detail.elt) || told());
}
document.addEventListener("htmx:beforeRequest", (event) => asksByItself(event.detail.elt) || (trouble.hidden = true));

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
