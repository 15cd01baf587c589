// The listening grid. Rows are drawn as they come into view, and one clip plays at a time.
"use strict";

(() => {
  const CLIPS = 48; // clips drawn at once: about two screens
  const ENDS = 0.05; // seconds before its end at which a shorter clip is taken up
  const grid = unpacked(JSON.parse(document.getElementById("grid").textContent));
  const $ = (id) => document.getElementById(id);
  const make = (tag, facts = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), facts);
    node.append(...children);
    return node;
  };
  const repeated = grid.rows.some((row) => row.repetition);
  const byId = new Map(grid.rows.map((row) => [row.id, row]));
  const STEP = Math.min(12, Math.max(3, Math.round(CLIPS / (2 + grid.methods.filter((method) => !method.control).length)))); // rows
  let shown = []; // the rows that pass the filters, in order
  let drawn = 0;
  let playing = { row: null, clip: -1, audio: null };
  const opened = new Map(); // the audio elements of the row that plays, by clip

  // Scores come as numbers of 16 bits, names of sounds as 8 bytes: see `Packed` in grid.py.

  function unpacked(packed) {
    const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const [raw, names] = [new Uint16Array(bytes(packed.scores).buffer), bytes(packed.sounds)];
    const [methods, metrics] = [packed.methods.length, packed.metrics.length];
    const scale = packed.metrics.map(({ low, high }) => (high - low) / (2 ** 16 - 2));
    const [styles, contents] = packed.names;
    const scores = (row, place) => packed.metrics.map(({ low }, metric) => {
      const number = raw[(row * methods + place) * metrics + metric];
      return number ? low + (number - 1) * scale[metric] : null;
    });
    const output = (row, place) => {
      const at = (row * methods + place) * 8;
      const silent = !names.subarray(at, at + 6).some((byte) => byte);
      const reason = names[at + 6] + 256 * names[at + 7];
      if (silent && !reason) return null;
      return {
        get audio() { return silent ? "" : [...names.subarray(at, at + 8)].map((byte) => byte.toString(16).padStart(2, "0")).join(""); },
        why: silent ? packed.reasons[reason - 1] : "",
        get scores() { return scores(row, place); },
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
      .map(({ output }) => output.scores[metric])
      .filter((value) => value !== null);
  };

  const rank = (row, kind, metric) => {
    const values = scoresOf(row, metric).map((value) => value * grid.metrics[metric].sign);
    if (!values.length) return -Infinity; // rows without a score come last
    if (kind === "best") return Math.max(...values);
    if (kind === "worst") return -Math.min(...values);
    return Math.max(...values) - Math.min(...values);
  };

  const choose = () => {
    const [style, content, method] = ["style", "content", "method"].map((id) => $(id).value);
    const place = grid.methods.findIndex((entry) => entry.label === method);
    shown = grid.rows.filter((row) =>
      (!style || row.style === style) && (!content || row.content === content)
      && (place < 0 || row.outputs[place]));
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
    mark();
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
      if (clip.sound.audio) button.prepend(make("img", { alt: "", loading: "lazy", width: 192, height: 64, src: `pictures/${clip.sound.audio}.webp` }));
      button.dataset.row = row.id;
      button.dataset.clip = place;
      button.setAttribute("aria-pressed", "false");
      button.setAttribute("aria-label", `Play ${clip.name}: ${row.style}, ${row.content}`);
      entry.append(button);
    }
    const scores = make("span", { className: "scores" });
    const some = [...grid.plane, ...($("sort").value ? [$("score").value] : [])];
    clip.scores.forEach((value, i) => {
      if (value !== null && ($("all").checked || some.includes(grid.metrics[i].key))) scores.append(make("span", { className: "score" }, make("span", {}, `${grid.metrics[i].title} `), make("span", { className: "value" }, value.toFixed(2))));
    });
    if (scores.childNodes.length) entry.append(scores);
    return entry;
  };

  const buttonOf = (row, clip) => $("rows").querySelector(`button[data-row="${row}"][data-clip="${clip}"]`);
  const alike = (row, clip) => document.querySelectorAll(`button[data-row="${row}"][data-clip="${clip}"]`); // an example too

  const mark = () => {
    const on = playing.audio && !playing.audio.paused;
    for (const button of document.querySelectorAll('button[aria-pressed="true"]')) button.setAttribute("aria-pressed", "false");
    if (playing.row && on) for (const button of alike(playing.row.id, playing.clip)) button.setAttribute("aria-pressed", "true");
    $("play").textContent = on ? "Pause" : "Play";
    $("player").hidden = !playing.row;
    if (playing.row) $("now").textContent = `${clipsOf(playing.row)[playing.clip].name}: ${playing.row.style} × ${playing.row.content}`;
  };

  const open = (row, place) => {
    if (playing.row !== row) {
      for (const audio of opened.values()) { audio.pause(); audio.removeAttribute("src"); }
      opened.clear();
    }
    if (!opened.has(place)) {
      const { audio: name, link, gain } = clipsOf(row)[place].sound;
      const audio = new Audio(name ? `sounds/${name}.flac` : link);
      if (!name) audio.volume = gain;
      audio.preload = "auto";
      audio.addEventListener("timeupdate", () => { if (playing.audio === audio && audio.duration) $("position").value = audio.currentTime / audio.duration; });
      audio.addEventListener("ended", mark);
      audio.addEventListener("error", () => { if (playing.audio === audio) $("now").textContent = "This sound is not in this copy of the page."; });
      opened.set(place, audio);
    }
    return opened.get(place);
  };

  const play = (row, place) => {
    const former = playing.audio;
    const at = playing.row === row && former && !former.ended ? former.currentTime : 0;
    const audio = open(row, place);
    if (former && former !== audio) former.pause();
    playing = { row, clip: place, audio };
    audio.loop = $("loop").checked;
    const begin = () => {
      if (playing.audio !== audio) return;
      if (former !== audio) audio.currentTime = Math.max(0, Math.min(at, audio.duration - ENDS));
      audio.play().then(mark, mark);
    };
    if (audio.readyState >= 1) begin(); else audio.addEventListener("loadedmetadata", begin, { once: true });
    for (const other of audible(row)) open(row, other); // ready for a change of clip
    mark();
  };

  const toggle = () => {
    if (!playing.audio) return first();
    if (playing.audio.paused) playing.audio.play().then(mark, mark);
    else { playing.audio.pause(); mark(); }
  };

  const first = () => { if (shown.length && audible(shown[0]).length) go(shown[0], audible(shown[0])[0]); };

  const go = (row, place) => {
    const at = shown.indexOf(row);
    if (at >= drawn) draw(at + STEP);
    play(row, place);
    const button = buttonOf(row.id, place);
    button?.focus({ preventScroll: true });
    button?.scrollIntoView({ block: "center" });
  };

  const hear = (label) => { // the first clip of a method, with its rows alone in the grid
    $("method").value = label;
    choose();
    remember();
    const place = 2 + grid.methods.findIndex((method) => method.label === label);
    const row = shown.find((one) => isAudible(clipsOf(one)[place]));
    if (row) go(row, place); else $("listen").scrollIntoView();
  };

  const step = (by) => {
    if (!playing.row) return first();
    const places = audible(playing.row);
    const at = places.indexOf(playing.clip);
    if (places.length) go(playing.row, places[(at + by + places.length) % places.length]);
  };

  const rowStep = (by) => {
    if (!playing.row) return first();
    const row = shown[shown.indexOf(playing.row) + by];
    if (!row) return;
    const places = audible(row);
    if (places.length) go(row, places.includes(playing.clip) ? playing.clip : places[0]);
  };

  // Addresses are #cell=ID&clip=2, or #style=…&content=…&method=…&sort=…&score=…

  const FIELDS = ["style", "content", "method", "sort", "score"];

  const remember = () => {
    const words = new URLSearchParams(FIELDS.filter((id) => $(id).value && (id !== "score" || $("sort").value)).map((id) => [id, $(id).value]));
    history.replaceState(null, "", `${words}` ? `#${words}` : "#listen");
  };

  const follow = () => {
    if (!location.hash.includes("=")) return;
    const words = new URLSearchParams(location.hash.slice(1));
    const row = byId.get(words.get("cell"));
    if (words.has("cell") && !row) { $("count").textContent = "This page has no such cell."; return; }
    for (const id of FIELDS) if (words.has(id) || !row) $(id).value = words.get(id) ?? (id === "score" ? $(id).value : "");
    if (row && !shown.includes(row)) for (const id of ["style", "content", "method"]) $(id).value = "";
    const place = Number(words.get("clip") ?? -1);
    if (row && place >= 2 && grid.methods[place - 2]?.control) $("controls").checked = true;
    choose();
    if (row) reveal(row, place); else $("listen").scrollIntoView();
  };

  const reveal = (row, place) => {
    if (shown.indexOf(row) >= drawn) draw(shown.indexOf(row) + STEP);
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
  for (const id of [...FIELDS, "controls", "all"]) $(id).addEventListener("change", () => { choose(); remember(); });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", () => draw());
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-row]");
    if (!button) return;
    const row = byId.get(button.dataset.row);
    const place = Number(button.dataset.clip);
    if (playing.row === row && playing.clip === place) toggle(); else play(row, place);
  });
  $("play").addEventListener("click", toggle);
  $("back").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("loop").addEventListener("change", () => { for (const audio of opened.values()) audio.loop = $("loop").checked; });
  $("position").addEventListener("input", () => { if (playing.audio?.duration) playing.audio.currentTime = $("position").value * playing.audio.duration; });

  const KEYS = { ArrowRight: () => step(1), ArrowLeft: () => step(-1), n: () => rowStep(1), p: () => rowStep(-1), " ": toggle };
  document.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (!act || !$("keys").checked || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, summary, a, pre, .scroll, thead")) return;
    if (event.key === " " && event.target.closest("button")) return; // a button's own key
    event.preventDefault();
    act();
  });
  document.addEventListener("hear", (event) => hear(event.detail));
  window.addEventListener("hashchange", follow);

  choose();
  follow();
})();
