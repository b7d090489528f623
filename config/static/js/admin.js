// What the pages of Django's admin do not tell: the column of a cell on a phone, and names of parts that its scripts make.
"use strict";

const headings = [...document.querySelectorAll("#result_list > thead th")].map((heading) =>
  heading.classList.contains("action-checkbox-column") ? "" : (heading.querySelector(".text") || heading).textContent.trim(),
);
for (const row of document.querySelectorAll("#result_list > tbody > tr")) {
  [...row.cells].forEach((cell, place) => {
    if (headings[place]) cell.dataset.label = headings[place];
  });
}

const nameTheParts = () => {
  for (const tip of document.querySelectorAll("span.help-tooltip[aria-label]")) tip.setAttribute("role", "img");
  for (const list of document.querySelectorAll("select.admin-autocomplete")) {
    const field = list.parentElement.querySelector(".select2-search__field");
    if (field && list.labels.length) field.setAttribute("aria-label", list.labels[0].textContent.trim());
  }
};
// Django's own scripts make these parts when the page has been read, by jQuery's queue: this waits behind them in it.
window.addEventListener("load", () => (window.django?.jQuery ? window.django.jQuery(nameTheParts) : nameTheParts()));
