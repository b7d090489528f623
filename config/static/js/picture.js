// Zoom and move the picture of a flow, and save it as PNG; without this file the picture scrolls.
"use strict";

const view = document.querySelector(".flow-view");
const picture = view?.querySelector("svg");
if (picture) {
  const natural = { width: picture.viewBox.baseVal.width, height: picture.viewBox.baseVal.height };
  const level = document.querySelector("[data-zoom-level]");
  const fitting = () => Math.min(1, view.clientWidth / natural.width, view.clientHeight / natural.height);
  let scale = 1;

  // Keep the point (x, y) of the view where it is, so that one zooms into what one looks at.
  const zoom = (wanted, x = view.clientWidth / 2, y = view.clientHeight / 2) => {
    const before = scale;
    scale = Math.min(4, Math.max(Math.min(0.05, fitting()), wanted));
    const left = (view.scrollLeft + x) * (scale / before) - x;
    const top = (view.scrollTop + y) * (scale / before) - y;
    picture.setAttribute("width", natural.width * scale);
    picture.setAttribute("height", natural.height * scale);
    view.scrollTo({ left, top, behavior: "instant" });
    level.textContent = `${Math.round(scale * 100)} %`;
  };
  const actions = {
    in: () => zoom(scale * 1.25),
    out: () => zoom(scale / 1.25),
    fit: () => zoom(fitting()),
    real: () => zoom(1),
  };
  const keys = { "+": "in", "=": "in", "-": "out", "_": "out", "0": "fit", "1": "real" };

  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => actions[button.dataset.zoom]());
  }
  view.addEventListener("keydown", (event) => {
    const action = keys[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[action]();
  });
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const box = view.getBoundingClientRect();
    zoom(scale * Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });

  // One mouse button or one finger moves, two fingers zoom.
  const fingers = new Map();
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return { size: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  };
  view.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target === view) return;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    view.setPointerCapture(event.pointerId);
  });
  view.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const before = fingers.size === 2 ? spread() : null;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (before) {
      const after = spread();
      const box = view.getBoundingClientRect();
      view.scrollBy({ left: before.x - after.x, top: before.y - after.y, behavior: "instant" });
      zoom(scale * (after.size / Math.max(1, before.size)), after.x - box.left, after.y - box.top);
    } else {
      view.scrollBy({ left: last.x - event.clientX, top: last.y - event.clientY, behavior: "instant" });
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    view.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }

  document.querySelector("[data-png]").addEventListener("click", (event) => {
    const button = event.currentTarget;
    const copy = picture.cloneNode(true);
    // Twice as sharp as on the screen, as far as browsers make canvases.
    const sharp = Math.min(2, 8000 / Math.max(natural.width, natural.height));
    copy.setAttribute("width", natural.width * sharp);
    copy.setAttribute("height", natural.height * sharp);
    const image = new Image();
    button.setAttribute("aria-busy", "true");
    image.addEventListener("load", () => {
      const canvas = document.createElement("canvas");
      canvas.width = natural.width * sharp;
      canvas.height = natural.height * sharp;
      canvas.getContext("2d").drawImage(image, 0, 0);
      canvas.toBlob((blob) => {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(blob);
        link.download = button.dataset.png;
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 60000);
        button.removeAttribute("aria-busy");
      });
    });
    // As data:, which the CSP lets images come from.
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  });

  view.classList.add("can-move");
  document.querySelector(".zoom").hidden = false;
  zoom(Math.max(fitting(), Math.min(1, view.clientWidth / natural.width), 0.5));
  // Begin where the flow begins.
  const start = picture.querySelector("[data-step='1']").getBoundingClientRect();
  const frame = view.getBoundingClientRect();
  const left = start.left - frame.left + view.scrollLeft - Math.max(8, (frame.width - start.width) / 2);
  const top = start.top - frame.top + view.scrollTop - 60;
  view.scrollTo({ left, top, behavior: "instant" });
}
