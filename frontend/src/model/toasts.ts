/**
 * Short messages to the person, read out by screen readers.
 *
 * They are shown for a while. Those with an action stay until it is taken or they are closed, unless
 * it is only an offer.
 */
import { signal } from "@preact/signals";

export interface Toast {
  key: number;
  level: "info" | "error";
  text: string;
  action?: { label: string; run: () => void };
}

const SHOWN = { info: 5000, error: 12_000, offer: 12_000 } as const; // milliseconds
const MOST = 4;

export class Toasts {
  readonly shown = signal<readonly Toast[]>([]);
  /** Read out without being shown. */
  readonly announced = signal("");
  #next = 1;

  info(text: string, action?: Toast["action"]): void {
    this.#show("info", text, action);
  }

  /** Show an action that is of use now: it goes by itself. */
  offer(text: string, action: NonNullable<Toast["action"]>): void {
    this.#show("info", text, action, SHOWN.offer);
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

  #show(level: Toast["level"], text: string, action?: Toast["action"], time?: number): void {
    const others = this.shown.value.filter((toast) => toast.text !== text);
    const toast = { key: this.#next++, level, text, ...(action ? { action } : {}) };
    this.shown.value = [...others, toast].slice(-MOST);
    const shown = time ?? (action === undefined ? SHOWN[level] : undefined);
    if (shown !== undefined) setTimeout(() => this.close(toast.key), shown);
  }
}
