// All that the page of the button's redirect URI has to do: take the answer, and hand it to the
// website's own backend, which exchanges the code.
const told = document.getElementById("told");
try {
  if (!globalThis.AuthAgent) throw new Error("The sign-in script could not be loaded. Reload this page.");
  const answer = await AuthAgent.handleCallback();
  const response = await fetch("/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(answer),
  });
  if (!response.ok) throw new Error((await response.json()).message);
  location.replace("/me");
} catch (error) {
  document.getElementById("going-on").textContent = "Not signed in";
  told.textContent = error.message;
}
