// Handing in: which block a listener gets, who a service says it is, and how ratings leave.
"use strict";

// Who a service for studies says that this is, from the address; null where it says nothing.
const participantOf = (services) => {
  const asked = new URLSearchParams(location.search);
  for (const [service, names] of Object.entries(services)) {
    const [person, study, session] = names.map((name) => (asked.get(name) ?? "").slice(0, 64));
    if (person) return { schema_version: 1, service, person, study, session };
  }
  return null;
};

// The block that the address names; one by the participant's id; the next one on this machine; or
// any. From 1, and null where everybody rates everything.
const blockOf = (count, participant, next) => {
  if (!count) return null;
  const asked = Number(new URLSearchParams(location.search).get("block"));
  if (Number.isInteger(asked) && asked >= 1) return ((asked - 1) % count) + 1;
  if (participant) {
    let hash = 0x811c9dc5; // FNV-1a
    for (const letter of participant.person) hash = Math.imul(hash ^ letter.codePointAt(0), 0x01000193) >>> 0;
    return (hash % count) + 1;
  }
  if (Number.isInteger(next) && next >= 1) return ((next - 1) % count) + 1;
  return Math.floor(Math.random() * count) + 1;
};

// Send a text; what it gives back is a promise that fails unless the other side has kept it.
const sent = async (address, text) => {
  const answer = await fetch(address, {
    method: "POST", body: text, headers: { "Content-Type": "text/plain;charset=UTF-8" },
    credentials: "omit", referrerPolicy: "no-referrer", redirect: "error", cache: "no-store",
    signal: AbortSignal.timeout(30_000),
  });
  if (!answer.ok) throw new Error(`the answer was ${answer.status}`);
};
