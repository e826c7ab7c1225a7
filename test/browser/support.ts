import { type Browser, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { until } from '../support/until.ts';

/** Chromium without a display, a sandbox or anything it would ask of the internet. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      ...['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update'],
      ...['--no-first-run', '--autoplay-policy=no-user-gesture-required'],
    ],
  });
}

/** A page, and everything that went wrong in it or was asked of another server. */
export interface Visit {
  readonly page: Page;
  readonly complaints: string[];
  readonly requests: string[];
  /** How often the page was loaded or left. */
  readonly navigations: () => number;
}

/**
 * @param prepare called before the page is loaded
 */
export async function visit(
  browser: Browser,
  address: string,
  prepare: (page: Page) => Promise<unknown> = async () => {},
): Promise<Visit> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  const requests: string[] = [];
  let navigations = 0;
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => requests.push(request.url()));
  await prepare(page);
  await page.goto(address);
  page.on('framenavigated', () => navigations++);
  return { page, complaints, requests, navigations: () => navigations };
}

/**
 * Nothing failed in the page and nothing was asked of others. The browser itself writes a line to the console for
 * requests that fail in a way that is expected here.
 */
export function expectNoComplaints({ complaints, requests }: Visit, origin: string, expected = /404/): void {
  const usual = (line: string) => line.startsWith('Failed to load resource') && expected.test(line);
  expect(complaints.filter((line) => !usual(line))).toEqual([]);
  const foreign = requests.filter((url) => !url.startsWith(origin) && !url.startsWith('blob:'));
  expect(foreign).toEqual([]);
}

/** What the page says it does: waiting, playing or stalled. */
export const playback = (page: Page) => page.locator('body').getAttribute('data-playback');

export async function playbackIs(page: Page, state: string, withinMs = 20_000): Promise<void> {
  await until(`playback to be ${state}`, async () => (await playback(page)) === state, withinMs);
}

export const position = (page: Page) => page.evaluate<number>('document.getElementById("video").currentTime');

/** The picture really moves on. */
export async function moves(page: Page, seconds: number): Promise<void> {
  const from = await position(page);
  await until(`${seconds} s of playback`, async () => (await position(page)) > from + seconds, 20_000);
}
