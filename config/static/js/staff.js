// Conveniences of the staff pages; all of them work without this file.
"use strict";

// A page that refreshes itself must not take away what somebody has ticked, opened or reached with the keyboard.
document.addEventListener("htmx:beforeRequest", (event) => {
  const part = event.target;
  if (part.id !== "fresh") return;
  const busy = document.hidden
    || part.querySelector("input:checked, details[open]") !== null
    || part.contains(document.activeElement);
  if (busy) event.preventDefault();
});

// One box ticks all of the page.
const offer = () => {
  for (const all of document.querySelectorAll("input.all")) all.hidden = false;
};
document.addEventListener("change", (event) => {
  if (!event.target.matches("input.all")) return;
  const boxes = event.target.form.querySelectorAll("input[name=token]");
  for (const box of boxes) box.checked = event.target.checked;
});
document.addEventListener("htmx:afterSettle", offer);
offer();
