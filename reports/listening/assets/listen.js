// A blind listening test. Each listener gets the sets of a block and their clips in a random order;
// everything is kept in this browser until it has arrived somewhere else.
"use strict";

(() => {
  const facts = JSON.parse(document.getElementById("test").textContent);
  const { test, questions, marks: words } = facts;
  const post = document.querySelector('meta[name="collector"]').content;
  const participant = participantOf(facts.services);
  const IDLE_MS = 120_000; // of a pause, no more counts as time spent on a set
  const $ = (id) => document.getElementById(id);
  const make = (tag, traits = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), traits);
    node.append(...children);
    return node;
  };
  const several = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
  const percent = (share) => `${Math.floor(100 * share)} %`;

  // The state is kept in the browser, so that a closed window loses nothing.

  const PLACE = `listening-test-${test}`;
  const NEXT = `listening-next-${test}`;
  const stored = (place) => { try { return JSON.parse(localStorage.getItem(place)); } catch { return null; } };
  const store = (place, value) => { try { localStorage.setItem(place, JSON.stringify(value)); } catch { /* private window */ } };
  const shuffled = (values) => {
    const left = [...values];
    for (let i = left.length - 1; i > 0; i -= 1) {
      const j = Math.floor(Math.random() * (i + 1));
      [left[i], left[j]] = [left[j], left[i]];
    }
    return left;
  };
  const setsOf = (block) => {
    if (block === null) return facts.sets;
    const known = Object.fromEntries(facts.sets.map((set) => [set.id, set]));
    return facts.blocks[block - 1].map((part) => ({ ...known[part.set], items: part.items }));
  };
  const begin = () => {
    const block = blockOf(facts.blocks.length, participant, stored(NEXT));
    const practice = facts.practice ? [{ ...facts.practice, practice: true }] : [];
    return {
      stage: "intro", rater: "", training: "", participant: null, block, started_at: "", finished_at: "",
      at: 0, answers: {}, heard: {}, times: {}, trials: {}, headphones: null, comment: "", returned: false,
      order: [...practice, ...shuffled(setsOf(block))].map((set) => ({ ...set, items: shuffled(set.items) })),
    };
  };
  let state = stored(PLACE) ?? begin();
  let since = Date.now();
  let seen = document.visibilityState === "visible";
  const keep = () => {
    const now = Date.now();
    if (state.stage === "set") {
      const time = (state.times[current().id] ??= { started_at: new Date(now).toISOString(), time_s: 0 });
      if (seen) time.time_s += Math.min(now - since, IDLE_MS) / 1000;
    }
    since = now;
    if (state.stage !== "intro") store(PLACE, state); // nothing is kept before somebody agrees to it
  };

  const current = () => state.order[state.at];
  const answer = (item) => (state.answers[`${current().id}/${item}`] ??= {});
  const letterOf = (place) => (place < 26 ? String.fromCharCode(65 + place) : `${place + 1}`);

  // Playing, and what was heard.

  let noted = 0;
  const player = makePlayer({
    suffix: facts.suffix,
    heard: () => state.heard,
    changed: () => {
      if (state.stage === "set") check();
      if (Date.now() - noted > 1000) { noted = Date.now(); keep(); }
    },
    failed: () => { $("left").textContent = $("headphones").textContent = "This clip cannot be played. Please reload the page, or open it in another browser."; },
  });
  const isHeard = (name) => player.share(name) >= facts.leastHeard;

  // One part of the page is shown at a time.

  const PARTS = ["resume", "intro", "sound", "set", "last", "done"];
  const DRAWS = { intro: () => drawIntro(), sound: () => drawSound(), set: () => drawSet(), last: () => drawLast(), done: () => drawDone() };
  const HEADINGS = { sound: "sound-title", set: "where", last: "last-title", done: "thanks", resume: "resume-title" };
  const show = (part) => {
    for (const one of PARTS) $(one).hidden = one !== part;
    DRAWS[part]?.();
    if (HEADINGS[part]) $(HEADINGS[part]).focus();
    window.scrollTo(0, 0);
  };
  const go = (stage, at = state.at) => {
    player.silence();
    keep();
    Object.assign(state, { stage, at });
    since = Date.now();
    keep();
    show(stage);
  };
  const onSubmit = (id, act) => $(id).addEventListener("submit", (event) => { event.preventDefault(); act(); });

  // The introduction: what the test is, what is kept, and consent.

  const SERVICES = { prolific: "Prolific", mturk: "MTurk" };
  const drawIntro = () => {
    const rated = state.order.filter((set) => !set.practice);
    const clips = rated.reduce((sum, set) => sum + set.items.length, 0);
    const practice = facts.practice ? ", and one before them to practise with" : "";
    $("amount").textContent = `${several(rated.length, "set")} of short clips (${several(clips, "result")} to rate)${practice}`;
    const minutes = facts.minutes[(state.block ?? 1) - 1];
    $("duration").textContent = `about ${several(minutes, "minute")}`;
    $("told-sent").hidden = !post;
    $("told-file").hidden = Boolean(post);
    if (post) $("told-where").textContent = new URL(post, location.href).host;
    $("service").hidden = !participant;
    if (!participant) return;
    $("service-name").textContent = SERVICES[participant.service];
    $("service-id").textContent = participant.person;
    $("rater").value ||= `listener ${Math.random().toString(36).slice(2, 8)}`;
  };
  onSubmit("intro", () => {
    Object.assign(state, {
      rater: $("rater").value.trim() || "anonymous", training: $("training").value, started_at: new Date().toISOString(),
      participant: participant && $("service-consent").checked ? participant : null,
    });
    go("sound");
  });

  // Volume and headphones: three trials, which send nobody away.

  const drawSound = () => {
    player.arm($("volume"), (facts.practice ?? facts.sets[0]).content, "Play a clip");
    $("trials").replaceChildren(...facts.trials.map(trialOf));
    checkSound();
  };
  const trialOf = ({ sound }, place) => {
    const choices = ["first", "second", "third"].map((word, i) => {
      const input = make("input", { type: "radio", name: sound, value: i, checked: state.trials[sound] === i });
      input.addEventListener("change", () => { state.trials[sound] = i; keep(); checkSound(); });
      return make("label", {}, input, word);
    });
    const node = make("div", { className: "trial" }, player.arm(make("button"), sound, `Play tones ${place + 1}`), ...choices);
    node.setAttribute("role", "radiogroup");
    node.setAttribute("aria-label", `The softest of tones ${place + 1}`);
    return node;
  };
  const checkSound = () => {
    const left = facts.trials.filter(({ sound }) => state.trials[sound] === undefined).length;
    const right = facts.trials.filter(({ sound, softest }) => state.trials[sound] === softest).length;
    $("sound-done").setAttribute("aria-disabled", String(left > 0));
    state.headphones = left ? null : right;
    if (left) $("headphones").textContent = `${several(left, "answer")} still missing.`;
    else if (right === facts.trials.length) $("headphones").textContent = "All right: these sound like headphones.";
    else $("headphones").textContent = `${right} of ${facts.trials.length} right. That happens on loudspeakers: please use headphones if you can, then answer again or go on.`;
  };
  onSubmit("sound", () => {
    const missing = facts.trials.findIndex(({ sound }) => state.trials[sound] === undefined);
    if (missing < 0) go("set", 0);
    else $("trials").children[missing].querySelector("button").focus();
  });

  // A set: two references, and the clips with their questions.

  const REFERENCES = ["content", "style"];

  const drawSet = () => {
    const set = current();
    const rated = state.order.filter((one) => !one.practice);
    const place = rated.indexOf(set);
    const minutes = facts.minutes[(state.block ?? 1) - 1];
    const left = Math.max(1, Math.ceil((minutes * (rated.length - place)) / (rated.length + 1)));
    $("where").textContent = set.practice ? "Practice" : `Set ${place + 1} of ${rated.length}`;
    $("about-set").textContent = set.practice
      ? "Marks of this set do not count. Play each clip to its end, compare it with content and style, and answer the three questions."
      : `About ${several(left, "minute")} left. Clips go on where the one before stopped; each is to be heard from beginning to end.`;
    Object.assign($("far"), { max: state.order.length, value: state.at });
    $("back").hidden = state.at === 0;
    for (const id of REFERENCES) player.arm($(id), set[id], `Play ${id}`).classList.remove("missing");
    $("items").replaceChildren(...set.items.map(itemOf));
    check();
  };

  const itemOf = (item, place) => {
    const letter = letterOf(place);
    const head = make("div", { className: "head" },
      make("h3", { textContent: `Result ${letter}` }), player.arm(make("button"), item, `Play ${letter}`),
      make("div", { className: "states" }, make("span", { className: "state heard" }), make("span", { className: "state rated" })));
    const node = make("section", { className: "item" }, head, ...questions.map((question) => questionOf(item, question)));
    node.setAttribute("aria-label", `Result ${letter}`);
    return node;
  };

  const questionOf = (item, [key, title, asked]) => {
    const id = `${item}-${key}`;
    const scale = words.map((word, i) => {
      const input = make("input", { type: "radio", name: id, value: i + 1, checked: answer(item)[key] === i + 1 });
      input.addEventListener("change", () => { answer(item)[key] = i + 1; keep(); check(); });
      return make("label", { className: "mark" }, input, make("b", { textContent: i + 1 }), make("span", { textContent: word }));
    });
    const text = make("span", { className: "asked", id }, make("strong", { textContent: title }), " ", asked);
    const node = make("div", { className: "question" }, text, make("div", { className: "scale" }, ...scale));
    node.setAttribute("role", "radiogroup");
    node.setAttribute("aria-labelledby", id);
    return node;
  };

  // What is missing of the set, in the order of the page: words, and where to go for it.
  const lacking = () => {
    const found = REFERENCES.filter((id) => !isHeard(current()[id]))
      .map((id) => ({ words: `hear the ${id} to its end`, place: $(id) }));
    current().items.forEach((item, place) => {
      const node = $("items").children[place];
      const unrated = questions.filter(([key]) => !answer(item)[key]);
      const parts = [...(isHeard(item) ? [] : ["hear it to its end"]), ...(unrated.length ? [`rate ${unrated.map(([, title]) => title).join(", ")}`] : [])];
      if (!parts.length) return;
      const target = isHeard(item) ? node.querySelector(`[name="${item}-${unrated[0][0]}"]`) : node.querySelector("button");
      found.push({ words: `result ${letterOf(place)}: ${parts.join(" and ")}`, place: target });
    });
    return found;
  };

  const tell = (node, text) => { if (node.textContent !== text) node.textContent = text; };
  const check = () => {
    current().items.forEach((item, place) => {
      const node = $("items").children[place];
      const rated = questions.filter(([key]) => answer(item)[key]).length;
      const states = [
        [".heard", isHeard(item), isHeard(item) ? "✓ heard" : `heard ${percent(player.share(item))}`],
        [".rated", rated === questions.length, rated === questions.length ? "✓ rated" : `rated ${rated} of ${questions.length}`],
      ];
      for (const [selector, done, text] of states) {
        const one = node.querySelector(selector);
        tell(one, text);
        one.classList.toggle("yes", done);
      }
      if (states.every(([, done]) => done)) node.classList.remove("missing");
    });
    for (const id of REFERENCES) {
      const done = isHeard(current()[id]);
      player.word($(id), `Play ${id}${done ? " ✓" : ""}`);
      if (done) $(id).classList.remove("missing");
    }
    const missing = lacking();
    const more = missing.length > 1 ? ` (and ${several(missing.length - 1, "more thing")} below)` : "";
    tell($("left"), missing.length ? `Missing: ${missing[0].words}${more}.` : "All are heard and rated.");
    $("forward").setAttribute("aria-disabled", String(missing.length > 0));
  };

  onSubmit("set", () => {
    const [first] = lacking();
    if (first) {
      (first.place.closest(".item") ?? first.place).classList.add("missing");
      first.place.focus();
      return;
    }
    if (state.at + 1 < state.order.length) go("set", state.at + 1);
    else go("last");
  });
  $("back").addEventListener("click", () => go("set", state.at - 1));

  // The end: a comment, then the ratings leave.

  const drawLast = () => { $("comment").value = state.comment; };
  $("comment").addEventListener("input", () => { state.comment = $("comment").value; keep(); });
  $("last-back").addEventListener("click", () => go("set", state.order.length - 1));
  onSubmit("last", () => {
    state.finished_at ||= new Date().toISOString();
    go("done");
  });

  const rounded = (number) => Math.round(1000 * number) / 1000;
  const ratings = () => {
    const { rater, training, started_at, finished_at, block, headphones, comment } = state;
    const sets = state.order.filter((set) => !set.practice);
    const answers = sets.flatMap((set) => set.items.map((item) => (
      { schema_version: 1, set: set.id, item, ...state.answers[`${set.id}/${item}`], heard: rounded(player.share(item)) })));
    const times = sets.map(({ id }) => ({ schema_version: 1, set: id, ...state.times[id], time_s: rounded(state.times[id].time_s) }));
    return JSON.stringify({
      schema_version: 1, test, rater, training, started_at, finished_at, answers,
      block, sets: times, headphones, comment, participant: state.participant,
    }, null, 1);
  };

  const offerFile = (text) => {
    const link = $("download");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = `ratings-${test}-${state.rater.replace(/[^a-z0-9]+/gi, "_")}.json`;
    link.onclick = () => returned("Your ratings are in the file that you downloaded. Please return it.");
    $("by-hand").hidden = false;
    $("by-mail").hidden = !facts.email;
    $("mail").textContent = facts.email;
    $("mail").href = `mailto:${facts.email}?subject=${encodeURIComponent(`Ratings of listening test ${test}`)}`;
  };
  const returned = (text) => {
    state.returned = true;
    keep();
    $("arrival").textContent = text;
    $("retry").hidden = true;
    $("completion").hidden = !facts.code;
    $("code").textContent = facts.code;
    $("leave").hidden = !facts.codeUrl;
    if (facts.codeUrl) $("code-link").href = facts.codeUrl;
    $("restart").hidden = Boolean(participant);
  };
  const drawDone = () => {
    const text = ratings();
    if (!post) {
      offerFile(text);
      if (state.returned) returned("Your ratings are in the file that you downloaded. Please return it.");
    } else if (state.returned) returned("Your ratings have arrived.");
    else deliver(text);
  };
  const deliver = async (text) => {
    $("retry").hidden = true;
    $("arrival").textContent = "Sending your ratings …";
    try {
      await sent(post, text);
      $("by-hand").hidden = true;
      returned("Your ratings have arrived.");
    } catch (error) {
      $("arrival").textContent = `Your ratings could not be sent (${error.message}). They are kept in this browser: try again, or download them.`;
      $("retry").hidden = false;
      offerFile(text);
    }
  };
  $("again").addEventListener("click", () => deliver(ratings()));

  // The next person on this machine, or somebody else before this one has finished.

  const forget = () => {
    if (state.block !== null) store(NEXT, state.block + 1);
    try { localStorage.removeItem(PLACE); } catch { /* private window */ }
    state = begin(); // of which nothing is kept as the page goes
  };
  $("next-person").addEventListener("click", () => {
    forget();
    location.assign(location.href.split(/[?#]/)[0]);
  });
  $("go-on").addEventListener("click", () => show(state.stage));
  $("begin-anew").addEventListener("click", () => {
    forget();
    show("intro");
  });

  const somebodyElse = () => {
    const asked = blockOf(facts.blocks.length, participant, state.block);
    return state.stage !== "intro" && (asked !== state.block || (state.participant && state.participant.person !== participant?.person));
  };
  const start = () => {
    if (facts.suffix === ".ogg" && !new Audio().canPlayType("audio/ogg; codecs=opus")) {
      $("unplayable").hidden = false;
      return;
    }
    if (somebodyElse() && state.returned) forget();
    if (!somebodyElse()) { show(state.stage); return; }
    $("resume-name").textContent = state.rater;
    show("resume");
  };
  document.addEventListener("visibilitychange", () => {
    keep();
    seen = document.visibilityState === "visible";
  });
  start();
})();
