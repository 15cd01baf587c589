// Playing: one clip at a time, and another clip goes on at the same position. What was heard of
// each is kept as stretches of seconds, so that hearing one second ten times counts as one second.
"use strict";

const makePlayer = ({ suffix, heard, changed, failed }) => {
  const GAP = 0.12; // seconds between two stretches that are one: a browser reports coarsely
  const player = new Audio();
  let sounding = "";
  let button = null;

  const joined = (stretches) => {
    const known = [];
    for (const [from, to] of [...stretches].sort((a, b) => a[0] - b[0])) {
      const last = known.at(-1);
      if (last && from <= last[1] + GAP) last[1] = Math.max(last[1], to);
      else known.push([from, to]);
    }
    return known;
  };

  const note = () => {
    if (!sounding || !player.duration) return;
    const { played, duration } = player;
    const now = Array.from({ length: played.length }, (_, i) => [played.start(i), played.end(i)]);
    const before = heard()[sounding]?.stretches ?? [];
    const stretches = joined([...before, ...now].filter(([from, to]) => to > from));
    const total = stretches.reduce((sum, [from, to]) => sum + to - from, 0);
    heard()[sounding] = { stretches, share: Math.min(1, total / duration) };
    changed();
  };

  const draw = (one) => {
    const on = one === button && !player.paused && !player.ended;
    const text = `${on ? "◼" : "▶"} ${one.dataset.words}`;
    one.setAttribute("aria-pressed", String(on));
    if (one.textContent !== text) one.textContent = text;
  };
  const show = () => document.querySelectorAll("[aria-pressed]").forEach(draw);

  const listen = (name, pressed) => {
    note();
    if (sounding === name && !player.paused) { player.pause(); return; }
    const at = player.ended || !player.duration ? 0 : player.currentTime;
    if (sounding !== name) {
      player.src = `sounds/${name}${suffix}`;
      sounding = name;
      player.addEventListener("loadedmetadata", () => {
        if (at > 0 && at < player.duration - GAP) player.currentTime = at;
      }, { once: true });
    }
    button = pressed;
    player.play().then(show, (error) => {
      show();
      if (error.name !== "AbortError") failed(); // another clip was chosen before this one began
    });
  };
  for (const event of ["timeupdate", "pause", "ended"]) player.addEventListener(event, () => { note(); show(); });

  return {
    share: (name) => heard()[name]?.share ?? 0,
    // Stop, and forget the position: the clips of another set begin at their beginning.
    silence: () => {
      note();
      player.pause();
      sounding = "";
      button = null;
      player.removeAttribute("src");
    },
    // Make a button play a sound; it says `words`.
    arm: (node, name, words) => {
      node.type = "button";
      node.onclick = () => listen(name, node);
      node.dataset.words = words;
      draw(node);
      return node;
    },
    word: (node, words) => {
      node.dataset.words = words;
      draw(node);
    },
  };
};
