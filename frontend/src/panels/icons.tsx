/** Line icons, drawn here because systems lack the signs for them. */

const PATHS = {
  move: "M5 3l6 14 2-6 6-2z",
  brush: "M19 3L9 13l2 2L21 5zM8 14c-2 0-3 2-3 4 0 1-1 2-2 2 3 1 8 1 8-3z",
  eraser: "M4 16L14 5l6 6-9 9H7zM9 10l6 6",
  polygon: "M12 3l8 6-3 10H7L4 9z",
  box: "M4 5h16v14H4z",
  undo: "M4 9h10a5 5 0 010 10H9M4 9l4-4M4 9l4 4",
  redo: "M20 9H10a5 5 0 000 10h5M20 9l-4-4M20 9l-4 4",
  eye: "M2 12c4-8 16-8 20 0-4 8-16 8-20 0zM12 9a3 3 0 110 6 3 3 0 010-6z",
  eyeOff: "M3 3l18 18M2 12c1-2 3-4 5-5M10 6c5-1 10 1 12 6-1 2-2 3-4 4M14 17c-5 1-10-1-12-5",
  lock: "M6 11h12v9H6zM8 11V8a4 4 0 018 0v3",
  lockOpen: "M6 11h12v9H6zM8 11V8a4 4 0 017-3",
  more: "M5 11h2v2H5zM11 11h2v2h-2zM17 11h2v2h-2z",
  plus: "M12 4v16M4 12h16",
  first: "M6 5v14M18 5l-9 7 9 7z",
  back: "M16 5l-9 7 9 7z",
  play: "M7 4l12 8-12 8z",
  pause: "M8 5v14M16 5v14",
  next: "M8 5l9 7-9 7z",
  last: "M18 5v14M6 5l9 7-9 7z",
  down: "M6 9l6 6 6-6",
  check: "M4 12l5 6L20 6",
  close: "M5 5l14 14M19 5L5 19",
  folder: "M3 6h7l2 3h9v10H3z",
  film: "M3 5h18v14H3zM7 5v14M17 5v14M3 12h4M17 12h4",
  flag: "M12 4l9 16H3z",
  up: "M6 15l6-6 6 6",
  fit: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
