/** Start: take the token out of the address, greet the server, show the page. */
import { render } from "preact";
import { App } from "./app";
import "./app.css";
import { Api } from "./model/api";
import { Workspace, WorkspaceProvider } from "./model/context";
import { Look } from "./model/look";
import { Session } from "./model/session";

/** Move the token from the address to this tab's storage, so that it is not in the history. */
function takeToken(): string {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given !== null) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("token") ?? "";
}

function start(root: HTMLElement): void {
  const token = takeToken();
  if (token === "") {
    root.textContent = "Open the address that maskcast app printed: it holds the key to this page.";
    return;
  }
  const session = new Session(new Api(token), new Look());
  const workspace = new Workspace(session);
  Object.assign(window, { maskcast: workspace });
  render(
    <WorkspaceProvider value={workspace}>
      <App />
    </WorkspaceProvider>,
    root,
  );
  void session.begin();
}

const root = document.getElementById("app");
if (root !== null) start(root);
