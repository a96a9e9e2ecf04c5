import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const version = /^version = "(.+)"$/m.exec(readFileSync(here("../pyproject.toml"), "utf8"))?.[1];

/** Append the version to the addresses in index.html, so that a browser never mixes two builds. */
const versioned: Plugin = {
  name: "versioned-addresses",
  transformIndexHtml: {
    order: "post",
    handler: (html) => html.replaceAll(/(app\.(?:js|css))"/g, `$1?v=${version}"`),
  },
};

export default defineConfig({
  base: "/",
  define: { __VERSION__: JSON.stringify(version) },
  plugins: [versioned],
  // Shorter than the automatic runtime: children are arguments, not another property.
  oxc: {
    jsx: { runtime: "classic", pragma: "h", pragmaFrag: "Fragment" },
    jsxInject: 'import { Fragment, h } from "preact";',
  },
  build: {
    outDir: here("../src/maskcast/web/static"),
    emptyOutDir: true,
    minify: false,
    cssMinify: false,
    modulePreload: false,
    target: "es2022",
    rolldownOptions: {
      output: {
        entryFileNames: "app.js",
        assetFileNames: "app.[ext]",
        codeSplitting: false,
        comments: { legal: true, annotation: false, jsdoc: false },
      },
    },
  },
});
