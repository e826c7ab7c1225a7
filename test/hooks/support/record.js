// Appends one line to the file that is its first argument: what it was started with.

import { appendFileSync } from 'node:fs';

const [file, ...args] = process.argv.slice(2);
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('SLUICE_')));
appendFileSync(file, `${JSON.stringify({ pid: process.pid, args, env })}\n`);
