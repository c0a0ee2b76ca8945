"use strict";

// A client of the chat: what comes is a line of text, and is only ever shown as text.

const log = document.getElementById("log");
const state = document.getElementById("state");
const text = document.getElementById("text");

// So many lines are kept.
const KEPT = 1000;
// Between two attempts to come back, in milliseconds: twice as long each time.
const SOONEST = 500;
const LATEST = 30_000;

let socket;
let wait = SOONEST;

function show(line) {
  const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const item = document.createElement("li");
  const said = /^<([^>]+)> ([^]*)$/.exec(line);
  const did = /^\* (\S+) ([^]*)$/.exec(line);
  if (said || did) {
    const [, who, what] = said || did;
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = who;
    item.append(name, said ? ": " : " ", what);
  } else {
    item.className = "server";
    item.textContent = line;
  }
  log.append(item);
  while (log.children.length > KEPT) {
    log.firstChild.remove();
  }
  if (follows) {
    log.scrollTop = log.scrollHeight;
  }
}

function tell(words, gone) {
  state.textContent = words;
  state.className = gone ? "gone" : "";
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}${document.body.dataset.path}`);
  socket.onopen = () => {
    wait = SOONEST;
    tell("connected", false);
  };
  socket.onmessage = (event) => {
    if (typeof event.data === "string") {
      show(event.data);
    }
  };
  socket.onclose = (event) => {
    // Who has said goodbye is not called back.
    if (event.wasClean && event.code === 1000) {
      tell("the conversation is over; reload the page to come back", true);
      return;
    }
    tell(`the connection is lost; another attempt in ${Math.round(wait / 1000) || 1} s`, true);
    setTimeout(connect, wait);
    wait = Math.min(2 * wait, LATEST);
  };
}

document.getElementById("say").addEventListener("submit", (event) => {
  event.preventDefault();
  if (text.value && socket.readyState === WebSocket.OPEN) {
    socket.send(text.value);
    text.value = "";
  }
});

connect();
