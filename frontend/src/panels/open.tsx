/** Before a video is opened: weights, first and last frame, run folder. */
import { useSignal } from "@preact/signals";
import { ApiError, type OpenRequest } from "../model/api";
import { useWorkspace } from "../model/context";
import { Dialog } from "./dialog";

interface Props {
  video: string;
  onClose: () => void;
}

export function OpenDialog({ video, onClose }: Props) {
  const { session } = useWorkspace();
  const all = session.hello.value?.weights ?? [];
  const weights = useSignal((all.find((each) => each.default) ?? all[0])?.name ?? "");
  const start = useSignal("");
  const end = useSignal("");
  const run = useSignal("");
  const busy = useSignal(false);
  const trouble = useSignal("");
  const chosen = all.find((each) => each.name === weights.value);
  const open = async () => {
    busy.value = true;
    trouble.value = "";
    const request: OpenRequest = { video, weights: weights.value };
    if (start.value.trim() !== "") request.start = start.value.trim();
    if (end.value.trim() !== "") request.end = end.value.trim();
    if (run.value.trim() !== "") request.run = run.value.trim();
    try {
      await session.open(request);
      onClose();
    } catch (error) {
      trouble.value = (error as Error).message;
      const suggestion = error instanceof ApiError ? error.body.suggestion : undefined;
      if (typeof suggestion === "string") run.value = suggestion;
    }
    busy.value = false;
  };
  return (
    <Dialog title={`Open ${video}`} onClose={onClose}>
      <form
        class="fields"
        onSubmit={(event) => {
          event.preventDefault();
          void open();
        }}
      >
        <label>
          Weights
          <select
            value={weights.value}
            onChange={(event) => {
              weights.value = event.currentTarget.value;
            }}
          >
            {all.map(({ name, method }) => (
              <option key={name} value={name}>
                {name} ({method})
              </option>
            ))}
          </select>
        </label>
        {chosen && (
          <p class="hint">
            {chosen.summary}.
            {chosen.licence !== "" && ` Licence of the weights: ${chosen.licence}.`}
          </p>
        )}
        <Field label="Start at frame or time" value={start} placeholder="0" />
        <Field label="Stop before" value={end} placeholder="the end" />
        <Field label="Run folder" value={run} placeholder="maskcast-runs/…" />
        {trouble.value !== "" && (
          <p role="alert" class="trouble">
            {trouble.value}
          </p>
        )}
        <div class="buttons">
          <button type="submit" class="main" disabled={busy.value}>
            {busy.value ? "Opening…" : "Open"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

interface FieldProps {
  label: string;
  value: { value: string };
  placeholder: string;
}

function Field({ label, value, placeholder }: FieldProps) {
  return (
    <label>
      {label}
      <input
        type="text"
        value={value.value}
        placeholder={placeholder}
        onInput={(event) => {
          value.value = event.currentTarget.value;
        }}
      />
    </label>
  );
}
