/** Colours of objects on the screen. */
import type { ObjectInfo } from "../model/protocol";
import type { OverlayStyle } from "./overlay";

/** Okabe-Ito, in the order whose first colours differ most, also for colour-blind eyes. */
export const PALETTE = [
  "#56b4e9",
  "#d55e00",
  "#f0e442",
  "#0072b2",
  "#cc79a7",
  "#009e73",
  "#e69f00",
] as const;

/** Opacity of the tint, in order of the key T; 0 leaves the contours alone. */
export const TINTS = [0.25, 0.45, 0.7, 0] as const;

export type Rgb = readonly [red: number, green: number, blue: number];

export function rgbOf(colour: string): Rgb {
  const number = Number.parseInt(colour.slice(1), 16);
  return Number.isNaN(number)
    ? [128, 128, 128]
    : [(number >> 16) & 255, (number >> 8) & 255, number & 255];
}

/** A colour as ImageData stores it: ABGR in one number. `opacity` 0..1. */
export function packed(colour: string, opacity: number): number {
  const [red, green, blue] = rgbOf(colour);
  return ((Math.round(opacity * 255) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** Black or white, whichever is read better on a colour (WCAG relative luminance). */
export function readableOn(colour: string): "#000000" | "#ffffff" {
  const [red, green, blue] = rgbOf(colour).map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
}

export function overlayStyle(
  objects: readonly Pick<ObjectInfo, "slot" | "colour">[],
  options: { tint: number; hidden: ReadonlySet<number>; dashed: boolean },
): OverlayStyle {
  const style = {
    fill: new Uint32Array(256),
    contour: new Uint32Array(256),
    hatching: new Uint8Array(256),
    shown: new Uint8Array(256),
    dashed: options.dashed,
  };
  for (const { slot, colour } of objects) {
    style.fill[slot] = packed(colour, options.tint);
    style.contour[slot] = packed(colour, 1);
    style.hatching[slot] = Math.floor((slot - 1) / PALETTE.length) % 3;
    style.shown[slot] = options.hidden.has(slot) ? 0 : slot;
  }
  return style;
}
