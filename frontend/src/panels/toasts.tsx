/** Messages: short ones that go by themselves, and bars that stay as long as their cause. */
import { useWorkspace } from "../model/context";
import { Icon } from "./icons";

export function Messages() {
  const { session } = useWorkspace();
  const { toasts } = session;
  const shown = toasts.shown.value;
  return (
    <>
      <div class="toasts" role="log" aria-label="Messages">
        {shown.map((toast) => (
          <div key={toast.key} class={`toast ${toast.level}`} role={roleOf(toast.level)}>
            <span>{toast.text}</span>
            {toast.action && (
              <button
                type="button"
                class="small"
                onClick={() => {
                  toast.action?.run();
                  toasts.close(toast.key);
                }}
              >
                {toast.action.label}
              </button>
            )}
            <button
              type="button"
              class="quiet"
              aria-label="Close this message"
              onClick={() => toasts.close(toast.key)}
            >
              <Icon name="close" />
            </button>
          </div>
        ))}
      </div>
      <p class="only-read" aria-live="polite">
        {toasts.announced.value}
      </p>
    </>
  );
}

function roleOf(level: string): "alert" | "status" {
  return level === "error" ? "alert" : "status";
}

/** Trouble with saving or with the server, for as long as it lasts. */
export function TroubleBar() {
  const { session } = useWorkspace();
  const run = session.project.value?.run;
  if (!session.reachable.value) {
    const again = run === undefined ? "maskcast app" : `maskcast app ${run}`;
    return (
      <p class="trouble-bar" role="alert">
        The server has stopped; nothing is lost. Start <code>{again}</code> again.
      </p>
    );
  }
  if (session.edits.state.value === "disk full") {
    return (
      <p class="trouble-bar" role="alert">
        Not saved: the disk is full. Make room; your strokes are kept here and sent again.
      </p>
    );
  }
  return null;
}
