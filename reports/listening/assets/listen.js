// A blind listening test. Each listener gets sets and clips in a random order; answers are kept on
// this machine until they are downloaded.
"use strict";

(() => {
  const { test, sets, questions, marks: words } = JSON.parse(document.getElementById("test").textContent);
  const $ = (id) => document.getElementById(id);
  const make = (tag, facts = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), facts);
    node.append(...children);
    return node;
  };

  // The state is kept in the browser, so that a closed window loses nothing.

  const PLACE = `listening-test-${test}`;
  const shuffled = (values) => {
    const left = [...values];
    for (let i = left.length - 1; i > 0; i -= 1) {
      const j = Math.floor(Math.random() * (i + 1));
      [left[i], left[j]] = [left[j], left[i]];
    }
    return left;
  };
  const begin = () => ({
    rater: "", training: "", started_at: "", finished_at: "", at: 0, answers: {},
    order: shuffled(sets).map((set) => ({ ...set, items: shuffled(set.items) })),
  });
  const load = () => {
    try { return JSON.parse(localStorage.getItem(PLACE)) || begin(); } catch { return begin(); }
  };
  const keep = () => { try { localStorage.setItem(PLACE, JSON.stringify(state)); } catch { /* private window */ } };
  const state = load();

  // One clip plays at a time, and another clip goes on at the same position.

  const player = new Audio();
  let sounding = "";
  const heard = new Set();
  const show = (button) => {
    for (const other of document.querySelectorAll("[aria-pressed]")) other.setAttribute("aria-pressed", String(other === button && !player.paused));
  };
  const listen = (name, button) => {
    if (sounding === name && !player.paused) { player.pause(); show(button); return; }
    const at = player.ended || !player.duration ? 0 : player.currentTime;
    if (sounding !== name) {
      player.src = `sounds/${name}.wav`;
      sounding = name;
      player.addEventListener("loadedmetadata", () => { player.currentTime = Math.min(at, Math.max(0, player.duration - 0.05)); }, { once: true });
    }
    player.play().then(() => { heard.add(name); show(button); check(); }, () => show(null));
  };
  player.addEventListener("ended", () => show(null));
  const playButton = (text, name) => {
    const button = make("button", { type: "button", textContent: text });
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => listen(name, button));
    return button;
  };

  const current = () => state.order[state.at];
  const answer = (item) => (state.answers[`${current().id}/${item}`] ??= {});

  const draw = () => {
    player.pause();
    player.removeAttribute("src");
    sounding = "";
    heard.clear();
    for (const [id, part] of [["intro", state.at < 0 || !state.started_at], ["set", state.started_at && state.at < sets.length], ["done", state.at >= sets.length]]) $(id).hidden = !part;
    if (!$("set").hidden) drawSet();
    if (!$("done").hidden) finish();
  };

  const drawSet = () => {
    const set = current();
    $("where").textContent = `Set ${state.at + 1} of ${sets.length}`;
    for (const [id, text] of [["content", "Play the content"], ["style", "Play the style"]]) {
      const button = playButton(text, set[id]);
      button.id = id;
      $(id).replaceWith(button);
    }
    $("items").replaceChildren(...set.items.map(itemOf));
    $("where").focus();
    check();
  };

  const itemOf = (item, place) => {
    const letter = String.fromCharCode(65 + place);
    const heading = make("h3", {}, `Result ${letter}`, playButton(`Play ${letter}`, item));
    const rows = questions.map(([key, text]) => {
      const marks = words.map((word, i) => {
        const input = make("input", { type: "radio", name: `${item}-${key}`, value: i + 1, checked: answer(item)[key] === i + 1 });
        input.setAttribute("aria-label", `${i + 1}, ${word}`);
        input.addEventListener("change", () => { answer(item)[key] = i + 1; keep(); check(); });
        return make("label", { className: "mark", title: word }, input, String(i + 1));
      });
      return make("fieldset", {}, make("legend", { textContent: text }), ...marks);
    });
    const node = make("section", { className: "item" }, heading, ...rows);
    node.setAttribute("aria-label", `Result ${letter}`);
    return node;
  };

  const lacking = () => current().items.filter((item) => !heard.has(item) || questions.some(([key]) => !answer(item)[key]));
  const check = () => {
    const left = lacking().length;
    $("left").textContent = left ? `${left} of ${current().items.length} results still to be heard and rated.` : "All are rated.";
    $("forward").disabled = left > 0;
  };

  const finish = () => {
    const answers = Object.entries(state.answers).map(([place, marks]) => {
      const [set, item] = place.split("/");
      return { schema_version: 1, set, item, ...marks };
    });
    const { rater, training, started_at, finished_at } = state;
    const text = JSON.stringify({ schema_version: 1, test, rater, training, started_at, finished_at, answers }, null, 1);
    $("download").href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    $("download").download = `ratings-${test}-${rater.replace(/[^a-z0-9]+/gi, "_")}.json`;
    $("thanks").focus();
  };

  $("intro").addEventListener("submit", (event) => {
    event.preventDefault();
    Object.assign(state, { rater: $("rater").value.trim() || "anonymous", training: $("training").value, started_at: new Date().toISOString() });
    keep();
    draw();
  });
  $("set").addEventListener("submit", (event) => {
    event.preventDefault();
    if (lacking().length) return;
    state.at += 1;
    if (state.at >= sets.length) state.finished_at = new Date().toISOString();
    keep();
    draw();
    window.scrollTo(0, 0);
  });
  draw();
})();
