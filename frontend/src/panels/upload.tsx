/** Drop a video, or choose one: it is sent to the server with progress, and can be cancelled. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { bytesText } from "../model/clock";
import { useWorkspace } from "../model/context";

interface Sending {
  name: string;
  size: number;
  sent: number;
  controller: AbortController;
}

export function Upload({ onDone }: { onDone: (path: string) => void }) {
  const { session } = useWorkspace();
  const sending = useSignal<Sending | null>(null);
  const over = useSignal(false);
  const input = useRef<HTMLInputElement>(null);
  const trouble = useSignal("");
  const send = async (file: File | undefined) => {
    if (file === undefined || sending.value !== null) return;
    const controller = new AbortController();
    sending.value = { name: file.name, size: file.size, sent: 0, controller };
    trouble.value = "";
    const progress = (sent: number) => {
      if (sending.value !== null) sending.value = { ...sending.value, sent };
    };
    try {
      onDone(await session.api.upload(file, progress, controller.signal));
    } catch (error) {
      if (!controller.signal.aborted) trouble.value = (error as Error).message;
    }
    sending.value = null;
  };
  return (
    <section
      aria-labelledby="upload-title"
      class={`drop ${over.value ? "over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        over.value = true;
      }}
      onDragLeave={() => {
        over.value = false;
      }}
      onDrop={(event) => {
        event.preventDefault();
        over.value = false;
        void send(event.dataTransfer?.files[0]);
      }}
    >
      <h2 id="upload-title">Drop a video here</h2>
      <p class="hint">It is copied to {session.hello.value?.root}/uploads.</p>
      <input
        ref={input}
        type="file"
        aria-label="Video to upload"
        class="only-read"
        tabIndex={-1}
        onChange={(event) => void send(event.currentTarget.files?.[0])}
      />
      <button
        type="button"
        disabled={sending.value !== null}
        onClick={() => input.current?.click()}
      >
        Choose a file…
      </button>
      {sending.value !== null && (
        <div role="status" class="sending">
          <p>
            {sending.value.name}: {bytesText(sending.value.sent)} of {bytesText(sending.value.size)}
          </p>
          <progress
            aria-label="Upload"
            value={sending.value.sent}
            max={Math.max(1, sending.value.size)}
          />
          <button type="button" onClick={() => sending.value?.controller.abort()}>
            Cancel
          </button>
        </div>
      )}
      {trouble.value !== "" && (
        <p role="alert" class="trouble">
          {trouble.value}
        </p>
      )}
    </section>
  );
}
