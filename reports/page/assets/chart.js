// The scatters of a page: pointing at a method shows its numbers, a click plays its clips.
"use strict";

(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true"); // its words are the name of the link
  document.body.append(tip);

  const same = (label) => document.querySelectorAll(`[data-label="${CSS.escape(label)}"]`);

  const show = (point) => {
    for (const one of same(point.dataset.label)) one.classList.add("on");
    const name = document.createElement("strong");
    name.textContent = point.dataset.label;
    tip.replaceChildren(name, ...point.dataset.words.split(/, (?=[^\]]*(?:\[|$))/).map((words) => Object.assign(document.createElement("span"), { textContent: words })));
    tip.hidden = false;
    const at = point.querySelector(".reach").getBoundingClientRect();
    const left = Math.min(Math.max(8, at.right + 4), innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${left < at.right ? Math.max(8, at.left - tip.offsetWidth - 4) : left}px`;
    tip.style.top = `${Math.min(Math.max(8, at.top - 8), innerHeight - tip.offsetHeight - 8)}px`;
  };

  const hide = (point) => {
    for (const one of same(point.dataset.label)) one.classList.remove("on");
    tip.hidden = true;
  };

  const points = (chart) => [...chart.querySelectorAll(".point")];

  // One stop for the Tab key: arrows go from point to point, from left to right.

  for (const chart of document.querySelectorAll("svg.chart")) {
    const across = points(chart).sort((one, other) => one.querySelector(".reach").cx.baseVal.value - other.querySelector(".reach").cx.baseVal.value);
    across.forEach((point, place) => point.setAttribute("tabindex", place ? "-1" : "0"));
    chart.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      const at = across.indexOf(event.target.closest(".point"));
      const next = across[at + by];
      if (!by) return;
      event.preventDefault();
      if (!next) return;
      across[at].setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
    });
  }

  for (const point of document.querySelectorAll("svg.chart .point")) {
    for (const kind of ["pointerenter", "focus"]) point.addEventListener(kind, () => show(point));
    for (const kind of ["pointerleave", "blur"]) point.addEventListener(kind, () => hide(point));
    point.addEventListener("click", (event) => {
      event.preventDefault();
      hide(point);
      document.dispatchEvent(new CustomEvent("hear", { detail: point.dataset.label }));
    });
  }
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  for (const entry of document.querySelectorAll(".legend li")) {
    entry.addEventListener("pointerenter", () => { for (const one of same(entry.dataset.label)) one.classList.add("on"); });
    entry.addEventListener("pointerleave", () => { for (const one of same(entry.dataset.label)) one.classList.remove("on"); });
  }
})();
