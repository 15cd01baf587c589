// The listening grid: its rows, filters, orders, and the keys that go from clip to clip.
"use strict";

(() => {
  const CLIPS = 48; // clips drawn at once: about two screens
  const { $, make, player } = bench;
  const grid = unpacked(JSON.parse(document.getElementById("grid").textContent));
  const repeated = grid.rows.some((row) => row.repetition);
  const byId = new Map(grid.rows.map((row) => [row.id, row]));
  const STEP = Math.min(12, Math.max(3, Math.round(CLIPS / (2 + grid.methods.filter((method) => !method.control).length)))); // rows
  let shown = []; // the rows that pass the filters, in order
  let drawn = 0;

  // Scores come as numbers of 16 bits, names of sounds as 8 bytes: see `Packed` in grid.py.

  function unpacked(packed) {
    const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const [raw, names] = [new Uint16Array(bytes(packed.scores).buffer), bytes(packed.sounds)];
    const shapes = new Uint16Array(bytes(packed.shape_of).buffer);
    const [methods, metrics] = [packed.methods.length, packed.metrics.length];
    const scale = packed.metrics.map(({ low, high }) => (high - low) / (2 ** 16 - 2));
    const [styles, contents] = packed.names;
    const score = (row, place, metric) => {
      const number = raw[(row * methods + place) * metrics + metric];
      return number ? packed.metrics[metric].low + (number - 1) * scale[metric] : null;
    };
    const output = (row, place) => {
      const at = (row * methods + place) * 8;
      const silent = !names.subarray(at, at + 6).some((byte) => byte);
      const reason = names[at + 6] + 256 * names[at + 7];
      if (silent && !reason) return null;
      return {
        get audio() { return silent ? "" : [...names.subarray(at, at + 8)].map((byte) => byte.toString(16).padStart(2, "0")).join(""); },
        seconds: packed.shapes[shapes[row * methods + place]][0],
        hertz: packed.shapes[shapes[row * methods + place]][1],
        why: silent ? packed.reasons[reason - 1] : "",
        score: (metric) => score(row, place, metric),
        get scores() { return packed.metrics.map((_, metric) => score(row, place, metric)); },
      };
    };
    const rows = packed.rows.map(([id, style, content, category, repetition], row) => ({
      id, style: styles[style], content: contents[content], category, repetition,
      outputs: packed.methods.map((_, place) => output(row, place)),
    }));
    return { ...packed, rows };
  }

  // The clips of a row are the content, the style, then the methods.

  const clipsOf = (row) => [
    { name: "Content", sound: grid.contents[row.content], scores: [] },
    { name: "Style", sound: grid.styles[row.style], scores: [] },
    ...grid.methods.map((method, place) => ({
      name: method.short, title: method.label, method, sound: row.outputs[place],
      scores: row.outputs[place] ? row.outputs[place].scores : [],
    })),
  ];

  const isAudible = (clip) => Boolean(clip.sound && (clip.sound.audio || clip.sound.link));

  const isShown = (clip) => {
    if (!clip.method) return true;
    if (!clip.sound) return false;
    const wanted = $("method").value;
    return wanted ? clip.method.label === wanted : $("controls").checked || !clip.method.control;
  };

  const audible = (row) =>
    clipsOf(row).map((clip, place) => ({ clip, place }))
      .filter(({ clip }) => isShown(clip) && isAudible(clip))
      .map(({ place }) => place);

  const scoresOf = (row, metric) => {
    const wanted = $("method").value;
    return grid.methods.map((method, place) => ({ method, output: row.outputs[place] }))
      .filter(({ method, output }) => output && (wanted ? method.label === wanted : !method.control))
      .map(({ output }) => output.score(metric))
      .filter((value) => value !== null);
  };

  const rank = (row, kind, metric) => {
    const values = scoresOf(row, metric).map((value) => value * grid.metrics[metric].sign);
    if (!values.length) return -Infinity; // rows without a score come last
    if (kind === "best") return Math.max(...values);
    if (kind === "worst") return -Math.min(...values);
    return Math.max(...values) - Math.min(...values);
  };

  const passing = () => {
    const [style, content, method] = ["style", "content", "method"].map((id) => $(id).value);
    const place = grid.methods.findIndex((entry) => entry.label === method);
    return grid.rows.filter((row) =>
      (!style || row.style === style) && (!content || row.content === content)
      && (place < 0 || row.outputs[place]));
  };

  const choose = () => {
    shown = passing();
    const kind = $("sort").value;
    const metric = grid.metrics.findIndex((measure) => measure.key === $("score").value);
    if (kind && metric >= 0) {
      const keyed = shown.map((row) => ({ row, key: rank(row, kind, metric) }));
      shown = keyed.sort((one, other) => (other.key > one.key) - (other.key < one.key)).map(({ row }) => row);
    }
    drawn = 0;
    $("rows").replaceChildren();
    $("count").textContent = `${shown.length} of ${grid.rows.length} rows`;
    draw();
  };

  const draw = (upTo = drawn + STEP) => {
    const fresh = shown.slice(drawn, upTo).map(article);
    $("rows").append(...fresh);
    drawn = Math.min(shown.length, Math.max(upTo, drawn));
    $("more").hidden = drawn >= shown.length;
    player.show();
  };

  const article = (row) => {
    const heading = make("h3", { id: `title-${row.id}` }, `${row.style} × ${row.content} `,
      make("small", {}, `${row.category}${repeated ? `, repetition ${row.repetition}` : ""} `));
    const link = make("a", { href: `#cell=${row.id}`, textContent: "link" });
    link.setAttribute("aria-label", `Link to ${row.style}, ${row.content}`);
    heading.lastChild.append(link);
    const list = make("ul", { className: "clips" });
    clipsOf(row).forEach((clip, place) => { if (isShown(clip)) list.append(item(row, clip, place)); });
    const node = make("article", { className: "row", id: `row-${row.id}` }, heading, list);
    node.setAttribute("aria-labelledby", heading.id);
    return node;
  };

  const item = (row, clip, place) => {
    const entry = make("li", { className: "clip", title: clip.title || "" });
    if (!isAudible(clip)) {
      entry.classList.add("none");
      entry.append(make("span", { className: "name", textContent: clip.name }),
        make("span", { className: "why", textContent: clip.sound.why }));
    } else {
      const button = make("button", { type: "button" }, make("span", { className: "name", textContent: clip.name }));
      const picture = clip.sound.audio && make("img", { alt: "", loading: "lazy", src: `pictures/${clip.sound.audio}.webp` });
      button.prepend(bench.framed(picture, clip.sound));
      button.dataset.row = row.id;
      button.dataset.clip = place;
      button.setAttribute("aria-pressed", "false");
      button.setAttribute("aria-label", `Play ${clip.name}: ${row.style}, ${row.content}`);
      entry.append(button);
    }
    const scores = make("span", { className: "scores" });
    const some = [...grid.plane, ...($("sort").value ? [$("score").value] : [])];
    clip.scores.forEach((value, i) => {
      if (value !== null && ($("all").checked || some.includes(grid.metrics[i].key))) scores.append(make("span", { className: "score" }, make("span", {}, `${grid.metrics[i].title} `), make("span", { className: "value" }, (Math.round(value * 100) / 100 + 0).toFixed(2))));
    });
    if (scores.childNodes.length) entry.append(scores);
    return entry;
  };

  const buttonOf = (row, clip) => $("rows").querySelector(`button[data-row="${row}"][data-clip="${clip}"]`);

  const first = () => { if (shown.length && audible(shown[0]).length) go(shown[0], audible(shown[0])[0]); };

  const go = (row, place) => {
    drawTo(row);
    player.play(row, place);
    const button = buttonOf(row.id, place);
    button?.focus({ preventScroll: true });
    button?.scrollIntoView({ block: "center" });
  };

  const hear = (label) => { // the first clip of a method, with its rows alone in the grid
    $("method").value = label;
    choose();
    const place = 2 + grid.methods.findIndex((method) => method.label === label);
    const row = shown.find((one) => isAudible(clipsOf(one)[place]));
    if (!row || player.now.row === row) bench.remember(true); // a new row is a choice by itself
    if (row) go(row, place); else $("listen").scrollIntoView();
  };

  const step = (by) => {
    const { row } = player.now;
    if (!row) return first();
    const places = audible(row);
    const at = places.indexOf(player.place);
    if (places.length) go(row, places[(at + by + places.length) % places.length]);
  };

  const rowStep = (by) => {
    if (!player.now.row) return first();
    const row = shown[shown.indexOf(player.now.row) + by];
    if (!row) return;
    const places = audible(row);
    if (places.length) go(row, places.includes(player.place) ? player.place : places[0]);
  };

  // Addresses are #cell=ID&clip=2, or #style=…&content=…&method=…&sort=…&score=…, or both.

  const FIELDS = ["style", "content", "method", "sort", "score"];
  const TICKS = { controls: false, all: false, keys: true }; // and where they stand at first

  const words = () => ({
    ...Object.fromEntries(FIELDS.filter((id) => id !== "score" || $("sort").value).map((id) => [id, $(id).value])),
    ...Object.fromEntries(Object.entries(TICKS).map(([id, first]) => [id, $(id).checked === first ? "" : $(id).checked ? "on" : "off"])),
  });

  const restore = (asked, whole, returned) => {
    const before = JSON.stringify(words());
    const row = byId.get(asked.get("cell"));
    if (asked.has("cell") && !row) { $("count").textContent = "This page has no such cell."; return; }
    for (const id of FIELDS) if (asked.has(id) || whole || !row) $(id).value = asked.get(id) ?? (id === "score" ? $(id).value : "");
    for (const [id, first] of Object.entries(TICKS)) if (asked.has(id) || whole) $(id).checked = asked.has(id) ? asked.get(id) === "on" : first;
    if (row && !passing().includes(row)) for (const id of ["style", "content", "method"]) $(id).value = "";
    const place = Number(asked.get("clip") ?? -1);
    if (row && place >= 2 && grid.methods[place - 2]?.control && !returned) $("controls").checked = true;
    if (JSON.stringify(words()) !== before) choose();
    if (row && !returned) reveal(row, place); else if (row) drawTo(row); else if (!returned) $("listen").scrollIntoView();
  };

  const drawTo = (row) => { if (shown.indexOf(row) >= drawn) draw(shown.indexOf(row) + STEP); };

  const reveal = (row, place) => {
    drawTo(row);
    for (const other of document.querySelectorAll(".row.found")) other.classList.remove("found");
    const node = $(`row-${row.id}`);
    node.classList.add("found");
    node.scrollIntoView({ block: "center" });
    (buttonOf(row.id, place) || node.querySelector("button"))?.focus({ preventScroll: true });
  };

  const options = (id, values, texts = values) =>
    $(id).append(...values.map((value, i) => make("option", { value, textContent: texts[i] })));

  options("style", grid.names[0]);
  options("content", grid.names[1]);
  options("method", grid.methods.map((method) => method.label));
  options("score", grid.metrics.map((measure) => measure.key), grid.metrics.map((measure) => measure.title));
  $("filters").hidden = !grid.rows.length;
  for (const id of [...FIELDS, "controls", "all"]) $(id).addEventListener("change", () => { choose(); bench.remember(true); });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", () => draw());
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-row]");
    if (!button) return;
    const row = byId.get(button.dataset.row);
    const place = Number(button.dataset.clip);
    if (player.now.row === row && player.place === place) player.toggle(); else player.play(row, place);
  });
  $("keys").addEventListener("change", () => bench.remember());

  const KEYS = { ArrowRight: () => step(1), ArrowLeft: () => step(-1), n: () => rowStep(1), p: () => rowStep(-1), ...bench.keys };
  document.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (!act || !$("keys").checked || event.ctrlKey || event.metaKey || event.altKey) return;
    const on = (what) => event.target.closest(what);
    if (on('input[type="number"], select, textarea, summary, a, pre, .scroll, thead')) return;
    if (event.key === " " && on('button, input[type="checkbox"]')) return; // its own key
    if (event.key.startsWith("Arrow") && on("input")) return;
    event.preventDefault();
    act();
  });
  document.addEventListener("hear", (event) => hear(event.detail));
  Object.assign(bench, { clipsOf, isAudible, first, step, rowOf: (id) => byId.get(id) });

  choose();
  bench.follow({ words, restore }, player);
})();
