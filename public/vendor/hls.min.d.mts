// Types only: the gateway serves vendor/hls.min.mjs from the installed hls.js package.
export * from 'hls.js';
export { default } from 'hls.js';
