// A table that is sorted by the head of a column, by click or with Enter or Space.
"use strict";

(() => {
  const isNumber = (head) => head.classList.contains("number");
  const best = (head) => (head.dataset.direction === "minimize" ? "ascending" : "descending");

  const compare = (one, other, head) => {
    if (!isNumber(head)) return one.localeCompare(other, "en", { numeric: true });
    return Number(one) - Number(other);
  };

  const sort = (table, head, order) => {
    const place = [...head.parentNode.children].indexOf(head);
    const sign = order === "ascending" ? 1 : -1;
    const key = (row) => row.children[place].dataset.key;
    for (const body of table.tBodies) {
      const rows = [...body.querySelectorAll("tr:not(.group)")];
      const known = rows.filter((row) => key(row) !== "" && key(row) !== "nan");
      const unknown = rows.filter((row) => !known.includes(row)); // last, whatever the order
      known.sort((one, other) => sign * compare(key(one), key(other), head));
      body.append(...known, ...unknown);
    }
    for (const other of head.parentNode.children) other.setAttribute("aria-sort", other === head ? order : "none");
    const words = isNumber(head) && head.dataset.direction
      ? (order === best(head) ? "best first" : "worst first") : order;
    table.closest("section").querySelector(".sorted").textContent = `Sorted by ${head.dataset.title}, ${words}`;
  };

  const turn = (head) => {
    const now = head.getAttribute("aria-sort");
    if (now === "none") return isNumber(head) ? best(head) : "ascending";
    return now === "ascending" ? "descending" : "ascending";
  };

  for (const table of document.querySelectorAll("table.board")) {
    for (const head of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => sort(table, head, turn(head)));
    }
  }
})();
