/**
 * Short messages to the person, read out by screen readers.
 *
 * They are shown for a while; those that offer an action stay until it is taken or they are closed.
 */
import { signal } from "@preact/signals";

export interface Toast {
  key: number;
  level: "info" | "error";
  text: string;
  action?: { label: string; run: () => void };
}

const SHOWN = { info: 5000, error: 12_000 } as const; // milliseconds
const MOST = 4;

export class Toasts {
  readonly shown = signal<readonly Toast[]>([]);
  /** Read out without being shown. */
  readonly announced = signal("");
  #next = 1;

  info(text: string, action?: Toast["action"]): void {
    this.#show("info", text, action);
  }

  error(text: string, action?: Toast["action"]): void {
    this.#show("error", text, action);
  }

  announce(text: string): void {
    this.announced.value = text;
  }

  close(key: number): void {
    this.shown.value = this.shown.value.filter((toast) => toast.key !== key);
  }

  /** What they were about is over. */
  clear(): void {
    this.shown.value = [];
  }

  #show(level: Toast["level"], text: string, action?: Toast["action"]): void {
    const others = this.shown.value.filter((toast) => toast.text !== text);
    const toast = { key: this.#next++, level, text, ...(action ? { action } : {}) };
    this.shown.value = [...others, toast].slice(-MOST);
    if (action === undefined) setTimeout(() => this.close(toast.key), SHOWN[level]);
  }
}
