// The player: one clip of a row is heard, against another one; where it is, and which part is repeated.
"use strict";

(() => {
  const { $, make } = bench;
  const deck = bench.openDeck();
  const SIDES = ["A", "B"];
  const SHORTEST = 0.05; // seconds of a part to repeat
  const DRAG = 5; // pixels from which a click is a drag
  const now = { row: null, sides: [-1, -1], heard: 0, seconds: 0, at: 0, part: null, ticket: 0, fault: "" };

  const place = () => now.sides[now.heard];
  const clipAt = (where) => bench.clipsOf(now.row)[where];
  const addressOf = ({ audio, link, gain }) => (audio ? { url: `sounds/${audio}.flac`, gain: 1 } : { url: link, gain });
  const load = (where) => deck.load(addressOf(clipAt(where).sound));
  const everyAudible = (row) => bench.clipsOf(row).flatMap((clip, at) => (bench.isAudible(clip) ? [at] : []));
  const position = () => (deck.playing ? deck.position : now.at);
  const looped = () => { // a part that a shorter clip does not reach is none of it
    if (!$("loop").checked || !now.seconds) return null;
    const part = now.part && now.part.from < now.seconds - SHORTEST ? now.part : { from: 0, to: now.seconds };
    return { from: part.from, to: Math.min(part.to, now.seconds) };
  };
  const round = (seconds) => Number(seconds.toFixed(2));

  // What is heard.

  const rowOf = (row, where) => {
    if (now.row === row) return;
    deck.pause();
    const known = everyAudible(row);
    const other = now.sides[1 - now.heard];
    const against = [other, 0, 2, 1, ...known].find((one) => known.includes(one) && one !== where);
    Object.assign(now, { row, at: 0, part: null });
    now.sides[1 - now.heard] = against ?? -1;
  };

  const choose = (row, where) => {
    rowOf(row, where);
    if (now.sides[1 - now.heard] === where) now.sides[1 - now.heard] = place(); // one clip is not on both sides
    now.sides[now.heard] = where;
    now.seconds = clipAt(where).sound.seconds;
    now.fault = "";
    show();
  };

  const cue = (ticket) => { // one that is missing says so when it is to be heard
    const other = now.sides[1 - now.heard];
    if (other >= 0) load(other).then((ready) => { if (ticket === now.ticket) deck.cue(ready); }, () => {});
  };

  const play = async (row, where, at = null) => {
    const goesOn = at === null && now.row === row && deck.playing;
    const from = at ?? (now.row !== row || now.at >= now.seconds ? 0 : now.at);
    const isNew = now.row !== row;
    choose(row, where);
    now.ticket += 1;
    const ticket = now.ticket;
    try {
      const ready = await load(where);
      if (ticket !== now.ticket) return;
      now.seconds = ready.seconds;
      deck.loop = looped();
      if (goesOn && deck.playing) await deck.swap(ready); else deck.start(ready, from);
      if (ticket !== now.ticket) return;
      show();
      move();
      bench.remember(isNew);
      cue(ticket);
    } catch {
      if (ticket !== now.ticket) return;
      pause();
      now.fault = "This sound is not in this copy of the page, or the browser cannot read it.";
      show();
    }
  };

  const stop = () => {
    now.at = position();
    now.ticket += 1;
    deck.pause();
  };

  const pause = () => {
    stop();
    show();
    bench.remember();
  };

  const toggle = () => {
    if (!now.row) bench.first(); else if (deck.playing) pause(); else play(now.row, place());
  };

  const swap = () => {
    if (!now.row || now.sides[1 - now.heard] < 0) return;
    now.heard = 1 - now.heard;
    play(now.row, place());
  };

  const seek = (at) => {
    if (!now.row) return;
    const to = Math.max(0, Math.min(at, now.seconds));
    if (deck.playing) play(now.row, place(), to);
    else { now.at = to; paint(); bench.remember(); }
  };

  const repeat = (part) => { // a part in seconds, or null for the whole clip
    const known = part && { from: round(Math.max(0, part.from)), to: round(Math.min(part.to, now.seconds)) };
    now.part = known && known.to - known.from >= SHORTEST ? known : null;
    if (now.part) $("loop").checked = true;
    if (now.part && !deck.playing && (now.at < now.part.from || now.at >= now.part.to)) now.at = now.part.from;
    deck.loop = looped();
    show();
    bench.remember();
  };

  deck.onend = () => { now.at = now.seconds; show(); bench.remember(); };

  // What is seen. The head moves with the sound; the rest changes when something is chosen.

  let buttons = []; // of the clip that is heard: in the grid, and among the first examples

  const paint = () => {
    const [at, seconds] = [Math.min(position(), now.seconds), now.seconds || 1];
    for (const one of [$("stage"), ...buttons]) one.style.setProperty("--at", `${(100 * at) / seconds}%`);
    const said = `${at.toFixed(1)} of ${now.seconds.toFixed(1)} s`;
    $("position").value = at / seconds;
    if ($("clock").textContent === said) return;
    $("clock").textContent = said;
    $("position").setAttribute("aria-valuetext", `${at.toFixed(1)} of ${now.seconds.toFixed(1)} seconds`);
  };

  let moving = false;
  let saved = 0;
  const move = () => {
    if (moving) return;
    moving = true;
    const step = (time) => {
      paint();
      if (time - saved > 1000) { saved = time; bench.remember(); }
      moving = deck.playing;
      if (moving) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  };

  const showStage = () => {
    const { sound } = clipAt(place());
    const known = `${now.row.id} ${place()} ${now.seconds}`;
    if ($("stage").dataset.shown === known) return;
    $("stage").dataset.shown = known;
    const picture = sound.audio && make("img", { alt: "", src: `pictures/${sound.audio}.webp`, draggable: false });
    const frame = bench.framed(picture, { ...sound, seconds: now.seconds }, { space: 0.2, count: innerWidth < 640 ? 6 : 12 });
    frame.querySelector(".view").append(make("span", { className: "part" }));
    $("scene").replaceChildren(frame);
  };

  const showSides = () => {
    const known = everyAudible(now.row);
    SIDES.forEach((side, which) => {
      const list = $(`side-${side}`);
      list.replaceChildren(...known.map((where) => make("option", { value: where, textContent: clipAt(where).name })));
      list.value = now.sides[which];
      list.closest("label").classList.toggle("on", which === now.heard);
    });
    const other = now.sides[1 - now.heard];
    $("swap").disabled = other < 0;
    $("swap").textContent = `Hear ${SIDES[1 - now.heard]}`;
    $("swap").title = other < 0 ? "This row has no other sound." : `${clipAt(other).name} (key x)`;
  };

  const showPart = () => {
    const { from, to } = now.part ?? { from: 0, to: now.seconds };
    for (const [id, value] of [["from", from], ["to", to]]) {
      $(id).max = round(now.seconds);
      if (document.activeElement !== $(id)) $(id).value = round(value);
    }
    $("whole").disabled = !now.part;
    $("stage").classList.toggle("parted", Boolean(now.part));
    $("stage").style.setProperty("--from", `${(100 * from) / (now.seconds || 1)}%`);
    $("stage").style.setProperty("--to", `${(100 * to) / (now.seconds || 1)}%`);
  };

  const show = () => {
    const on = deck.playing;
    for (const button of document.querySelectorAll('button[aria-pressed="true"]')) button.setAttribute("aria-pressed", "false");
    for (const button of document.querySelectorAll("button.current")) button.classList.remove("current");
    $("player").hidden = !now.row;
    document.documentElement.classList.toggle("with-player", Boolean(now.row));
    $("play").textContent = on ? "Pause" : "Play";
    if (!now.row) return;
    buttons = document.querySelectorAll(`button[data-row="${now.row.id}"][data-clip="${place()}"]`);
    for (const button of buttons) {
      button.classList.add("current");
      if (on) button.setAttribute("aria-pressed", "true");
    }
    $("now").textContent = now.fault || `${clipAt(place()).name}: ${now.row.style} × ${now.row.content}`;
    showStage();
    showSides();
    showPart();
    paint();
  };

  // The picture is clicked to seek and dragged across to repeat a part; the range does the first by keys.

  const shareOf = (event) => {
    const { left, width } = $("scene").querySelector(".view").getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - left) / width));
  };

  let drag = null;
  $("scene").addEventListener("pointerdown", (event) => {
    if (event.button || !now.row) return;
    drag = { from: shareOf(event), x: event.clientX, part: false };
    $("scene").setPointerCapture(event.pointerId);
  });
  $("scene").addEventListener("pointermove", (event) => {
    if (!drag) return;
    drag.part ||= Math.abs(event.clientX - drag.x) > DRAG;
    if (!drag.part) return;
    const ends = [drag.from, shareOf(event)].sort((one, other) => one - other);
    $("stage").classList.add("parted");
    ["--from", "--to"].forEach((name, which) => $("stage").style.setProperty(name, `${100 * ends[which]}%`));
  });
  $("scene").addEventListener("pointerup", (event) => {
    if (!drag) return;
    const [from, to] = [drag.from, shareOf(event)].sort((one, other) => one - other);
    const { part } = drag;
    drag = null;
    if (part) { repeat({ from: from * now.seconds, to: to * now.seconds }); return; }
    if (now.part && (to * now.seconds < now.part.from || to * now.seconds >= now.part.to)) repeat(null); // left behind
    seek(to * now.seconds);
  });
  $("scene").addEventListener("pointercancel", () => { drag = null; show(); });

  $("position").addEventListener("input", () => seek($("position").value * now.seconds));
  $("position").addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -0.1, ArrowDown: -0.1, ArrowRight: 0.1, ArrowUp: 0.1, PageDown: -1, PageUp: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    seek(position() + by);
  });
  $("play").addEventListener("click", toggle);
  $("back").addEventListener("click", () => bench.step(-1));
  $("next").addEventListener("click", () => bench.step(1));
  $("swap").addEventListener("click", swap);
  $("close").addEventListener("click", () => {
    const [button] = buttons;
    stop();
    now.row = null;
    show();
    button?.focus();
    bench.remember(true);
  });
  $("whole").addEventListener("click", () => repeat(null));
  $("loop").addEventListener("change", () => { deck.loop = looped(); show(); bench.remember(); });
  for (const id of ["from", "to"]) $(id).addEventListener("change", () => repeat({ from: Number($("from").value), to: Number($("to").value) }));
  SIDES.forEach((side, which) => $(`side-${side}`).addEventListener("change", (event) => {
    const chosen = Number(event.target.value);
    if (which === now.heard) { play(now.row, chosen); return; }
    if (chosen === place()) { now.sides[1 - which] = now.sides[which]; }
    now.sides[which] = chosen;
    if (deck.playing) play(now.row, place()); else { choose(now.row, place()); bench.remember(); }
  }));

  const ends = (at, which) => { // a key sets one end of the part to where the head is
    const part = now.part ?? { from: 0, to: now.seconds };
    repeat({ ...part, [which]: at });
  };

  bench.keys = {
    " ": toggle, x: swap, ",": () => seek(position() - 0.5), ".": () => seek(position() + 0.5),
    "[": () => ends(position(), "from"), "]": () => ends(position(), "to"), "0": () => repeat(null),
    l: () => { if (now.row) $("loop").click(); },
  };

  const restore = (asked, whole) => {
    const row = bench.rowOf(asked.get("cell"));
    if (!row) { if (whole && now.row) { stop(); now.row = null; show(); } return; }
    const known = everyAudible(row);
    const where = known.includes(Number(asked.get("clip") ?? -1)) ? Number(asked.get("clip")) : -1;
    if (where < 0 || (now.row === row && place() === where)) return;
    if (now.row) stop();
    now.heard = asked.get("side") === "B" ? 1 : 0;
    const against = Number(asked.get("against") ?? -1);
    now.sides[1 - now.heard] = known.includes(against) ? against : -1;
    now.row = null;
    choose(row, where);
    now.at = Math.max(0, Math.min(Number(asked.get("at")) || 0, now.seconds));
    $("loop").checked = asked.has("loop");
    const [from, to] = ["from", "to"].map((end) => Number(asked.get(end) ?? NaN));
    if (from >= 0 && to - from >= SHORTEST) now.part = { from, to };
    show();
  };

  const words = () => (now.row ? {
    cell: now.row.id, clip: place(), against: now.sides[1 - now.heard] < 0 ? "" : now.sides[1 - now.heard],
    side: now.heard ? "B" : "", at: position() ? position().toFixed(2) : "",
    loop: $("loop").checked ? "on" : "", from: now.part?.from ?? "", to: now.part?.to ?? "",
  } : {});

  bench.player = { now, deck, play, toggle, show, words, restore, get isOn() { return deck.playing; }, get place() { return place(); }, get position() { return position(); } };
})();
