// The waiting page: hears from the server how its request is getting on, says so, and goes on.
// The event stream is the quick way and polling the sure one; polling runs whenever the stream is
// not known to work, and now and then beside one that is: a connection can die without a word.
(() => {
  "use strict";

  const POLL = 1000; // all in milliseconds
  const SLOWEST_POLL = 5000;
  const BESIDE_A_STREAM = 25000;
  const LONGEST_RETRY_AFTER = 30000;
  const GIVE_UP_ON_ANSWER = 10000;
  const FIRST_EVENT = 5000; // a stream silent for longer may be held back by a proxy
  const REOPEN = 15000; // a browser does not reopen a stream that was once refused
  const LEAVE = 5000; // time to read why before going back
  const GOES_BACK = " This page goes back to the website in a few seconds.";
  const FAILURES_SHOWN = 3;

  const page = document.getElementById("page");
  const request = JSON.parse(document.getElementById("auth-agent-request").textContent);
  const { base, host } = page.dataset;
  const id = encodeURIComponent(request.request_id);
  const address = `${base}/authorize/${id}`;
  // Counted from what the server said was left: a browser's clock may be wrong.
  const deadline = performance.now() + Number(page.dataset.secondsLeft) * 1000;

  // Headline and text of each state.
  const WORDS = {
    pending: ["Waiting for your agent",
      "This page goes on by itself as soon as your agent has signed in. There is nothing to type here, and no secret belongs on this page."],
    lost: ["Connection lost",
      "Still trying. This page goes on by itself once the connection is back; your agent can sign in meanwhile."],
    authenticated: ["Signed in",
      "Your agent has signed in: going back to the website. If nothing happens, use the button."],
    stranded: ["Cannot go back by itself",
      "An agent has signed in, but this browser has lost the cookie that leads back. Start again from the website."],
    completed: ["Already signed in",
      "This sign-in is done, and the website has been told. You can close this page."],
    expired: ["Time ran out",
      "No agent signed in before this request expired. Start again from the website."],
    denied: ["Not signed in",
      "The sign-in was refused: the agent or the website is suspended or revoked. Ask whoever runs this server."],
    unknown: ["Not signed in",
      "This sign-in request is not known any more. Start again from the website."],
  };

  const front = /^https:/.test(request.redirect_origin) ? request.redirect_origin : null;
  let stream;
  let shown = { state: page.dataset.state, link: null };
  let [over, polling, asking, failures] = [false, false, false, 0];
  let silence, reopening, nextPoll, beside, leaving; // timers

  // The one place that changes what is read. Equal text is left alone: it would be read out again.
  function render(state = shown.state, link = shown.link, more = "") {
    shown = { state, link };
    const lost = state === "pending" && failures >= FAILURES_SHOWN;
    const [headline, text] = WORDS[lost ? "lost" : state];
    const put = (name, words) => {
      const element = document.getElementById(name);
      if (element.textContent !== words) element.textContent = words;
    };
    page.dataset.state = lost ? "lost" : state;
    put("headline", headline);
    put("text", text + more);
    document.title = `${headline} – ${host}`;
    for (const element of document.querySelectorAll("[data-while]")) element.hidden = state !== "pending";
    document.getElementById("way").hidden = !link;
    if (link) document.getElementById("back").href = link;
  }

  // Apps have schemes of their own; only those that would run or forge content here are refused.
  function followable(link) {
    try {
      return /^(javascript|data|vbscript|blob):$/.test(new URL(link).protocol) ? null : link;
    } catch { return null; } // none given, or not an address
  }

  function finish(state, link, leaveAfter) {
    if (over) return;
    over = true;
    stop();
    // A code is short-lived: the link asks for a fresh one, should this page stay (RFC 8252 apps).
    const goes = link && leaveAfter > 0;
    render(state, state === "authenticated" ? address : link ?? front, goes ? GOES_BACK : "");
    if (link && leaveAfter === 0) location.replace(link);
    else if (goes) leaving = setTimeout(() => location.replace(link), leaveAfter);
  }

  function apply({ status, redirect_to }) {
    if (over) return;
    const link = followable(redirect_to);
    if (status === "pending") render(status, null);
    else if (status === "authenticated" && link) finish(status, link, 0);
    else if (status === "authenticated") strand();
    else if (status === "expired" || status === "denied") finish(status, link, LEAVE);
    else if (status === "completed") finish(status);
  }

  // Signed in, but we were not told where to go. It may change, and will end when the request does.
  function strand() {
    stop();
    render("stranded", front);
    poll();
  }

  function listen() {
    stream?.close();
    if (!window.EventSource) return poll();
    stream = new EventSource(`${base}/api/requests/${id}/events`);
    stream.addEventListener("status", (event) => {
      const answer = JSON.parse(event.data);
      quiet();
      failures = 0;
      if (performance.now() < deadline) rest();
      apply(answer);
    });
    stream.addEventListener("error", () => {
      if (over) return;
      if (stream.readyState !== EventSource.CLOSED) return expectAnEvent();
      pollAndReopen();
    });
    quiet();
    expectAnEvent();
    clearInterval(beside);
    beside = setInterval(ask, BESIDE_A_STREAM);
  }

  function expectAnEvent() {
    silence ??= setTimeout(pollAndReopen, FIRST_EVENT);
  }

  function pollAndReopen() {
    poll();
    clearTimeout(reopening);
    reopening = setTimeout(listen, REOPEN);
  }

  function quiet() {
    for (const timer of [silence, reopening]) clearTimeout(timer);
    silence = undefined;
  }

  function poll() {
    if (over || polling) return;
    polling = true;
    ask();
  }

  function rest() {
    polling = false;
    clearTimeout(nextPoll);
  }

  async function ask() {
    if (over || asking) return;
    asking = true;
    clearTimeout(nextPoll);
    let pause = POLL;
    try {
      const response = await fetch(`${base}/api/check-status?request_id=${id}`, {
        credentials: "same-origin",
        cache: "no-store",
        signal: AbortSignal.timeout?.(GIVE_UP_ON_ANSWER),
      });
      // A proxy's own 404 is not the server's word.
      if (response.status === 404 && (await response.json()).error === "unknown_request") return finish("unknown");
      if (!response.ok) {
        pause = Math.min((Number(response.headers.get("Retry-After")) || 0) * 1000, LONGEST_RETRY_AFTER);
        throw new Error(`status ${response.status}`);
      }
      const answer = await response.json();
      failures = 0;
      apply(answer);
    } catch {
      if (polling) failures += 1;
      else if (stream?.readyState < EventSource.CLOSED) listen(); // it may be as dead as this call
      pause = Math.max(pause, Math.min(POLL * (failures + 1), SLOWEST_POLL));
      if (!over) render();
    } finally {
      asking = false;
      if (polling && !over) nextPoll = setTimeout(ask, pause);
    }
  }

  function tick() {
    const remaining = deadline - performance.now();
    const left = Math.max(0, Math.ceil(remaining / 1000));
    const seconds = String(left % 60).padStart(2, "0");
    document.getElementById("left").textContent = `${Math.floor(left / 60)}:${seconds}`;
    if (over) return;
    if (left > 0) setTimeout(tick, remaining % 1000 || 1000);
    else poll(); // it must have expired: do not wait to be told
  }

  function stop() {
    stream?.close();
    rest();
    quiet();
    for (const timer of [beside, leaving]) clearTimeout(timer);
  }

  // A reload must show this request again, not start another.
  history.replaceState(null, "", address);
  addEventListener("pagehide", stop);
  addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    over = false;
    listen();
    ask();
  });
  addEventListener("online", ask);
  document.addEventListener("visibilitychange", () => document.hidden || ask());
  listen();
  tick();
  clearTimeout(window.authFallback); // it would load the page again: this script has come
})();
