// What a reader does with a table: sort it by a head, choose its methods and columns, copy it.
"use strict";

(() => {
  const FEW = 4; // columns or rows up to which there is nothing to choose from
  const make = (tag, facts = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), facts);
    node.append(...children);
    return node;
  };
  const isNumber = (head) => head.classList.contains("number");
  const best = (head) => (head.dataset.title.includes("↓") ? "ascending" : "descending");
  const heads = (table) => [...table.tHead.rows[0].cells];
  const bodyRows = (table) => [...table.tBodies].flatMap((body) => [...body.rows]);

  // Sorting keeps the groups apart: controls stay below, and what has no number stays last.

  const sort = (table, head, order) => {
    const place = heads(table).indexOf(head);
    const sign = order === "ascending" ? 1 : -1;
    const key = (row) => (isNumber(head) ? row.cells[place].dataset.key : row.cells[place].textContent);
    const compare = (one, other) => (isNumber(head)
      ? Number(key(one)) - Number(key(other))
      : key(one).localeCompare(key(other), "en", { numeric: true }));
    for (const body of table.tBodies) {
      const rows = [...body.rows];
      const known = rows.filter((row) => key(row) !== "").sort((one, other) => sign * compare(one, other));
      body.append(...known, ...rows.filter((row) => key(row) === ""));
    }
    for (const other of heads(table)) other.setAttribute("aria-sort", other === head ? order : "none");
  };

  const turn = (head) => {
    const now = head.getAttribute("aria-sort");
    if (now === "none") return isNumber(head) ? best(head) : "ascending";
    return now === "ascending" ? "descending" : "ascending";
  };

  const makeSortable = (table) => {
    for (const head of heads(table)) {
      head.dataset.title = head.textContent;
      const button = make("button", { type: "button" }, ...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => sort(table, head, turn(head)));
    }
  };

  // A choice of columns or rows is a list of ticks that opens above the table.

  const choice = (title, names, show, hidden = []) => {
    const list = make("fieldset", { className: "picks" }, make("legend", { className: "hidden", textContent: title }));
    const ticks = names.map((name, place) => {
      const tick = make("input", { type: "checkbox", checked: !hidden.includes(place) });
      tick.addEventListener("change", () => show(place, tick.checked));
      list.append(make("label", { className: "tick" }, tick, ` ${name}`));
      if (!tick.checked) show(place, false);
      return tick;
    });
    const all = (checked) => {
      const button = make("button", { type: "button", textContent: checked ? "all" : "none" });
      button.addEventListener("click", () => ticks.forEach((tick, place) => { tick.checked = checked; show(place, checked); }));
      return button;
    };
    list.append(all(true), all(false));
    return make("details", { className: "pick" }, make("summary", { textContent: title }), list);
  };

  const columnChoice = (table) => {
    const columns = heads(table).slice(1);
    const rest = columns.map((head, place) => (head.classList.contains("wide") ? place : -1)); // asked for, then shown
    return choice("Columns", columns.map((head) => head.dataset.title), (place, on) => {
      for (const row of [table.tHead.rows[0], ...bodyRows(table)]) row.cells[place + 1].hidden = !on;
    }, rest);
  };

  const linkOf = (row) => row.querySelector('a[href^="#method="]');

  const rowChoice = (table) => {
    const found = new Map(); // rows of one method have one name, whatever follows it
    for (const row of bodyRows(table)) {
      const name = linkOf(row)?.hash.slice("#method=".length) ?? row.cells[0].textContent;
      found.set(name, [...(found.get(name) ?? []), row]);
    }
    if (found.size <= FEW) return [];
    const names = [...found.values()].map(([row]) => (linkOf(row) ?? row.cells[0]).textContent);
    const groups = [...found.values()];
    return [choice("Rows", names, (place, on) => { for (const row of groups[place]) row.hidden = !on; })];
  };

  // Copied as tab-separated values: what is shown, with intervals in columns of their own.

  const asText = (table) => {
    const rows = bodyRows(table).filter((row) => !row.hidden);
    const places = heads(table).map((_, place) => place).filter((place) => !heads(table)[place].hidden);
    const ends = (row, place) => row.cells[place].querySelector(".ends")?.textContent ?? "";
    const wide = new Set(places.filter((place) => rows.some((row) => ends(row, place))));
    const line = (of) => places.flatMap((place) => of(place)).join("\t");
    const head = line((place) => {
      const title = heads(table)[place].dataset.title;
      return wide.has(place) ? [title, `${title} 95 %`] : [title];
    });
    const body = rows.map((row) => line((place) => {
      const text = row.cells[place].textContent.replace(ends(row, place), "").replace(/\s+/g, " ").trim();
      return wide.has(place) ? [text, ends(row, place)] : [text];
    }));
    return [head, ...body].join("\n");
  };

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = make("textarea", { value: text, className: "hidden" });
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy"); // where a page may not write to the clipboard itself
      area.remove();
      return done;
    }
  };

  const copyButton = (table) => {
    const button = make("button", { type: "button", textContent: "Copy as TSV" });
    const said = make("span", { className: "said" });
    said.setAttribute("role", "status");
    button.addEventListener("click", async () => {
      said.textContent = (await copy(asText(table))) ? "copied" : "The browser does not let this page copy.";
    });
    return [button, said];
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    makeSortable(table);
    const tools = table.closest("details").querySelector(".tools");
    const choices = [...(heads(table).length > FEW ? [columnChoice(table)] : []), ...rowChoice(table)];
    tools.append(...copyButton(table), ...choices);
  }

  const unfold = () => {
    const found = location.hash.length > 1 && !location.hash.includes("=") && document.getElementById(location.hash.slice(1));
    const folded = found && found.closest("details");
    if (folded) { folded.open = true; found.scrollIntoView(); }
  };
  addEventListener("hashchange", unfold);
  unfold();
})();
