// @ts-check
/** What the gateway found out about a stream: the graver first. */
import { create } from './dom.js';

/** @typedef {import('./gateway.js').Severity} Severity */
/** @typedef {import('./gateway.js').Warning} Warning */

const GRAVITY = { problem: 2, warning: 1, notice: 0 };

/** @param {Warning} finding */
export function severityName({ severity }) {
  return { problem: 'Problem', warning: 'Warning', notice: 'Notice' }[severity ?? 'warning'];
}

/** @param {Warning} finding */
function gravity(finding) {
  return GRAVITY[finding.severity ?? 'warning'];
}

/** @param {readonly Warning[]} findings @returns {Warning[]} */
export function bySeverity(findings) {
  return [...findings].sort((a, b) => gravity(b) - gravity(a));
}

/** @param {readonly Warning[]} findings @returns {Severity} */
export function worst(findings) {
  return bySeverity(findings)[0]?.severity ?? 'notice';
}

/** No line ends between the hyphen of a command's option and its name. @param {string} className @param {string} fix */
export function fixLine(className, fix) {
  const line = create('p', className);
  const parts = fix.split(/(\s-\S+)/);
  line.append(...parts.map((part, index) => (index % 2 === 1 ? create('span', 'option', part) : part)));
  return line;
}
