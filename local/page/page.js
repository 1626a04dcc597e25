// Shows the snapshots that the server sends. It sets names of files as text, never as HTML.

const RECONNECT_MILLISECONDS = 2000;
const ANNOUNCE_MILLISECONDS = 1500; // how often a screen reader announces texts
const BURST_SECONDS = 10; // texts that follow each other within this time are a burst
const BURST_TEXTS = 4; // a burst of at least so many is folded, except its newest text
const SHOWN_FILES = 8;
const MARKS = { texted: "✓", waiting: "…", failed: "✕", ignored: "–", uploading: "↑" };
const SWITCHES = ["twilio_down", "lost_answers", "quiet_hours"];

const find = (selector) => document.querySelector(selector);

let snapshot;
let texts = [];
let refused = []; // files that this page did not upload
let pressed = new Set(); // buttons that wait for an answer
let clockSkew = 0; // how far this browser's clock is behind the server's
let shownMessages; // the number of messages shown so far
const opened = new Set(); // the bursts that are unfolded

// Words

function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const number = (value) => value.toLocaleString("en");
const plural = (value, one) => `${number(value)} ${one}${value === 1 ? "" : "s"}`;
const money = (dollars) => `$${dollars.toFixed(dollars > 0 && dollars < 0.01 ? 4 : 2)}`;
const clock = (time) => new Date(time).toLocaleTimeString("en-GB");

function ago(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

// The headline and the diagram

function showHeadline({ counts }) {
  const headline = find("#headline");
  if (!counts.uploaded && !counts.texts) {
    headline.replaceChildren("No log yet. Drop one, or press a button.");
    return;
  }
  const arrow = element("span", " → ", { "aria-hidden": "true" });
  const became = element("span", " became ", { class: "hidden" });
  const cost = `${plural(counts.texts, "text")}, ${money(counts.dollars)} `;
  const instead = element("span", `(one text each: ${money(counts.dollars_one_text_each)})`);
  headline.replaceChildren(plural(counts.uploaded, "log"), arrow, became, cost, instead);
}

function showStep(id, count, unit) {
  const step = find(`#${id}`);
  const shown = step.querySelector(".count");
  const text = number(count);
  if (shown.textContent !== text) shown.textContent = text;
  step.querySelector("small").textContent = unit;
  step.classList.toggle("nonzero", count > 0);
}

function showCounts({ counts }) {
  const logs = (count) => (count === 1 ? "log" : "logs");
  const onTheWay = counts.uploading ? `, ${number(counts.uploading)} on the way` : "";
  showStep("uploaded", counts.uploaded, logs(counts.uploaded) + onTheWay);
  showStep("texted", counts.texted, logs(counts.texted));
  showStep("delivered", counts.delivered, counts.delivered === 1 ? "text" : "texts");
  showStep("waiting", counts.waiting, logs(counts.waiting));
  showStep("failed", counts.failed, logs(counts.failed));
}

// The reasons to wait, and the time of the next try, which changes each second
function showWhy() {
  if (!snapshot) return;
  const { counts, reasons, switches, in_doubt_since, next_try } = snapshot;
  const why = find("#why");
  if (!counts.waiting) {
    why.textContent = "";
    return;
  }
  const parts = reasons.length > 1
    ? reasons.map(({ why, count }) => `${number(count)} ${why}`)
    : reasons.map(({ why }) => why);
  const seconds = (new Date(next_try) - Date.now() - clockSkew) / 1000;
  if (document.body.dataset.state === "stopped") {
    why.textContent = `${number(counts.waiting)} waiting: ${parts.join(", ")}.`;
    return;
  }
  const next = switches.twilio_down
    ? "Next try"
    : in_doubt_since ? "S3 Logs asks Twilio" : "Next summary";
  const when = seconds > 0 ? `in ${ago(seconds)}` : "any moment now";
  const until = switches.quiet_hours ? "Nothing is sent until quiet hours end." : `${next} ${when}.`;
  why.textContent = `${number(counts.waiting)} waiting: ${parts.join(", ")}. ${until}`;
}

function showFiles({ files }) {
  const all = [...files, ...refused].sort((a, b) => new Date(b.time) - new Date(a.time));
  find("#last").replaceChildren(
    ...all.slice(0, SHOWN_FILES).map(({ key, fate, state }) => {
      const item = element("li", "", { "data-state": state });
      const words = element("span");
      words.append(element("b", key), `: ${fate}`);
      item.append(element("i", MARKS[state], { "aria-hidden": "true" }), words);
      return item;
    }),
  );
}

// A clock for each expected log: its hands show the deadline
function showExpected({ expected = [] }) {
  find("#expected").hidden = !expected.length;
  find("#expected ul").replaceChildren(
    ...expected.map(({ route, rule, deadline, state, happened }) => {
      const item = element("li", "", { "data-state": state ?? "" });
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("viewBox", "0 0 24 24");
      svg.setAttribute("aria-hidden", "true");
      const face = document.createElementNS(svg.namespaceURI, "circle");
      for (const [key, value] of [["cx", 12], ["cy", 12], ["r", 10]]) face.setAttribute(key, value);
      svg.append(face);
      const due = new Date(deadline ?? NaN);
      if (!Number.isNaN(due.getTime())) {
        const minutes = due.getHours() * 60 + due.getMinutes();
        for (const [turn, length] of [[minutes / 720, 5], [minutes / 60, 8]]) {
          const hand = document.createElementNS(svg.namespaceURI, "path");
          const angle = turn * 2 * Math.PI;
          hand.setAttribute("class", "hand");
          hand.setAttribute("d", `M12 12l${length * Math.sin(angle)} ${-length * Math.cos(angle)}`);
          svg.append(hand);
        }
      }
      const words = element("span");
      const sentence = [rule, happened ?? state].filter(Boolean).join(": ");
      words.append(element("b", route || "Logs"), ` ${sentence}`);
      item.append(svg, words);
      return item;
    }),
  );
}

// The phones

const idOf = (phone) => `phone-${phone.replace(/\D/g, "")}`;

function phoneElement({ number: phone, routes }) {
  const id = idOf(phone);
  const made = element("article", "", { class: "phone", id, "aria-labelledby": `${id}-title` });
  const title = element("h2", "", { id: `${id}-title` });
  const screen = element("div", "", {
    class: "screen",
    role: "group",
    tabindex: "0",
    "aria-labelledby": `${id}-title`,
  });
  screen.append(element("ol", "", { class: "texts" }), element("p", "No text yet.", { class: "empty" }));
  const stop = element("button", "This phone replied STOP", {
    type: "button",
    role: "switch",
    "data-action": "opted_out",
    "aria-checked": "false",
    "aria-busy": "false",
    "aria-describedby": `${id}-title`,
  });
  stop.onclick = () => press(stop, `/opted_out?phone=${encodeURIComponent(phone)}`);
  made.append(title, screen, element("p", "", { class: "total" }), stop);
  return made;
}

function showPhones({ phones }) {
  const unknown = texts.map((text) => text.to).filter((to) => !phones.some((one) => one.number === to));
  const all = [...phones, ...[...new Set(unknown)].map((to) => ({ number: to, routes: "" }))];
  const list = find("#phones");
  for (const old of [...list.children]) {
    if (!all.some((phone) => idOf(phone.number) === old.id)) old.remove();
  }
  for (const phone of all) {
    let shown = find(`#${idOf(phone.number)}`);
    if (!shown) {
      shown = phoneElement(phone);
      list.append(shown);
    }
    shown.querySelector("h2").replaceChildren(
      ...(phone.routes ? [phone.routes, element("span", phone.number)] : [phone.number]),
    );
    const stop = shown.querySelector("[role=switch]");
    stop.setAttribute("aria-checked", String(Boolean(phone.opted_out)));
    const received = texts.filter((text) => text.to === phone.number);
    const segments = received.reduce((sum, text) => sum + text.segments, 0);
    const dollars = received.reduce((sum, text) => sum + text.dollars, 0);
    shown.querySelector(".total").textContent = received.length
      ? `${plural(received.length, "text")}, ${plural(segments, "segment")}, ${money(dollars)}`
      : "No text, $0.00";
  }
}

function textElement(text, isNew) {
  const item = element("li", "", { class: isNew ? "new" : "" });
  item.classList.toggle("summary", text.files > 1);
  const parts = [clock(text.time), plural(text.segments, "segment"), money(text.dollars)];
  if (text.status !== "delivered") parts.push(text.status);
  item.append(element("p", text.body), element("small", parts.join(" · ")));
  return item;
}

// A burst: consecutive texts about one log each, with little time between them
function burstsOf(received) {
  const bursts = [];
  for (const text of received) {
    const last = bursts.at(-1);
    const before = last?.at(-1);
    const isNext = before && before.files === 1 && text.files === 1
      && new Date(text.time) - new Date(before.time) <= BURST_SECONDS * 1000;
    if (isNext) last.push(text);
    else bursts.push([text]);
  }
  return bursts;
}

function burstElement(burst) {
  const [first, last] = [burst[0], burst.at(-1)];
  const item = element("li");
  const details = element("details");
  const seconds = Math.max(1, Math.round((new Date(last.time) - new Date(first.time)) / 1000));
  details.open = opened.has(first.sid);
  details.ontoggle = () => (details.open ? opened.add(first.sid) : opened.delete(first.sid));
  const folded = burst.slice(0, -1);
  const list = element("ol");
  list.append(...folded.map((text) => textElement(text, false)));
  details.append(element("summary", `${plural(folded.length, "more text")} in ${seconds} s`), list);
  item.append(details);
  return item;
}

function showTexts(phone, newSids) {
  const screen = find(`#${idOf(phone)} .screen`);
  const atEnd = screen.scrollHeight - screen.scrollTop - screen.clientHeight < 80;
  const items = [];
  for (const burst of burstsOf(texts.filter((text) => text.to === phone))) {
    const isLong = burst.length >= BURST_TEXTS;
    if (isLong) items.push(burstElement(burst));
    const shown = isLong ? burst.slice(-1) : burst;
    items.push(...shown.map((text) => textElement(text, newSids.has(text.sid))));
  }
  screen.querySelector(".texts").replaceChildren(...items);
  if (atEnd) screen.scrollTop = screen.scrollHeight;
}

// Announcements for screen readers, in a hidden region: they overwrite nothing visible

let unannounced = [];

function announce(text) {
  const announcement = find("#announcement");
  // Empty it first: a screen reader does not read a text that has not changed.
  announcement.textContent = "";
  setTimeout(() => {
    announcement.textContent = text;
  }, 50);
}

function announceTexts(added) {
  if (!unannounced.length) {
    setTimeout(() => {
      const [first] = unannounced;
      announce(
        unannounced.length === 1
          ? `A text to ${first.to}: ${first.body}`
          : `${unannounced.length} new texts`,
      );
      unannounced = [];
    }, ANNOUNCE_MILLISECONDS);
  }
  unannounced.push(...added);
}

// Controls

function showControls({ switches, busy, message, messages }) {
  for (const name of SWITCHES) {
    find(`[data-action="${name}"]`).setAttribute("aria-checked", String(switches[name]));
  }
  for (const button of document.querySelectorAll("[data-action]")) {
    const name = button.dataset.action;
    const label = (button.dataset.label ??= button.textContent);
    const isBusy = name in busy || pressed.has(button);
    button.ariaBusy = String(isBusy);
    const shown = busy[name] ? `${label} (${busy[name]})` : label;
    if (button.textContent !== shown) button.textContent = shown;
  }
  if (shownMessages !== undefined && messages !== shownMessages) announce(message);
  shownMessages = messages;
  find("#message").textContent = message;
}

function enable(isLive) {
  for (const control of document.querySelectorAll("button, input")) control.disabled = !isLive;
}

async function press(button, path) {
  if (button.ariaBusy === "true") return;
  pressed.add(button);
  button.ariaBusy = "true";
  try {
    await (await fetch(path, { method: "POST" })).text();
  } catch {
    // The stream of snapshots ends too: then the page shows that the demo has stopped.
  }
  pressed.delete(button);
  if (snapshot) showControls(snapshot);
}

for (const button of document.querySelectorAll("[data-action]")) {
  button.onclick = () => press(button, `/${button.dataset.action}`);
}

// Uploads

function refuse(name, why) {
  const fate = `not uploaded, ${why}`;
  refused = [{ key: name, fate, state: "failed", time: new Date(Date.now() + clockSkew) }, ...refused];
  announce(`${name}: ${fate}`);
  if (snapshot) showFiles(snapshot);
}

async function upload(file) {
  if (file.size > snapshot.max_bytes) {
    refuse(file.name, `over ${snapshot.max_bytes / 1e6} MB`);
    return;
  }
  let body;
  try {
    body = await file.arrayBuffer();
  } catch {
    refuse(file.name, "this browser cannot read it");
    return;
  }
  try {
    const answer = await fetch(`/files?name=${encodeURIComponent(file.name)}`, { method: "POST", body });
    announce(await answer.text());
    if (answer.status === 413) refuse(file.name, `over ${snapshot.max_bytes / 1e6} MB`);
  } catch {
    refuse(file.name, "the demo has stopped");
  }
}

async function uploadAll(files) {
  for (const file of files) await upload(file);
}

find("#files").onchange = async (event) => {
  await uploadAll([...event.target.files]);
  event.target.value = "";
};
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
};
document.ondragleave = () => document.body.classList.remove("dragging");
document.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  if (document.body.dataset.state !== "live") return;
  const files = [];
  for (const item of event.dataTransfer.items) {
    if (item.kind !== "file") continue;
    const entry = item.webkitGetAsEntry?.();
    if (entry?.isDirectory) refuse(`${entry.name}/`, "it is a folder: drop the files in it");
    else files.push(item.getAsFile());
  }
  uploadAll(files);
};

// The stream of snapshots

function show(received) {
  const isNew = received.demo !== snapshot?.demo;
  if (isNew) {
    refused = [];
    opened.clear();
  }
  // The first snapshot of a connection has all texts, later ones only the new texts.
  const known = new Set(isNew ? [] : texts.map((text) => text.sid));
  texts = [...texts.slice(0, received.texts_from), ...received.texts];
  const added = received.texts.filter((text) => !known.has(text.sid));
  snapshot = received;
  document.body.dataset.state = "live";
  clockSkew = new Date(received.now) - Date.now();
  showHeadline(snapshot);
  showCounts(snapshot);
  showWhy();
  showFiles(snapshot);
  showExpected(snapshot);
  showPhones(snapshot);
  const shownBefore = received.texts_from > 0 || (!isNew && known.size);
  const newSids = new Set(shownBefore ? added.map((text) => text.sid) : []);
  const changed = isNew ? snapshot.phones.map((one) => one.number) : [];
  for (const phone of new Set([...changed, ...added.map((text) => text.to)])) showTexts(phone, newSids);
  if (added.length && shownBefore) announceTexts(added);
  enable(true);
  showControls(snapshot);
  find("#price").textContent = `Prices: ${snapshot.price}.`;
}

function connect() {
  const events = new EventSource("/events");
  events.onmessage = ({ data }) => show(JSON.parse(data));
  events.onerror = () => {
    events.close();
    enable(false);
    if (document.body.dataset.state === "live") announce("The demo has stopped.");
    document.body.dataset.state = "stopped";
    showWhy();
    setTimeout(connect, RECONNECT_MILLISECONDS);
  };
}

enable(false);
connect();
setInterval(showWhy, 1000);
