/** Version of maskcast that this page was built for. */
declare const __VERSION__: string;

declare module "*.css";
