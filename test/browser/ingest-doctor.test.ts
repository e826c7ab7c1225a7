import type { Browser, Locator } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { readClip, repeated, withKeyframes } from '../support/publish-clip.ts';
import { SteppedPublishers } from '../support/stepped-publishers.ts';
import { expectNoComplaints, launchBrowser, visit } from './support.ts';

const WARNING = {
  message: 'Keyframes come every 8.0 s, so segments are longer than 2 s and viewers are about 24 s behind.',
  fix: 'In OBS: Settings > Output > Output Mode "Advanced" > Streaming > Keyframe Interval: 2 s.',
};
const NOTICE = {
  message: 'The encoder uses B-frames, 2 in a row, which cost about 80 ms of delay.',
  fix: 'In OBS: Settings > Output > Output Mode "Advanced" > Streaming > B-Frames (or Max B-frames): 0',
};

let gateway: TestGateway;
let publishers: SteppedPublishers;
let browser: Browser;

beforeAll(async () => {
  gateway = await startGateway();
  publishers = new SteppedPublishers();
  browser = await launchBrowser();
  const clip = repeated(readClip('h264b_aac'), 3);
  const tags = withKeyframes(clip, (keyframe) => keyframe % 4 === 0);
  await publishers.publish(gateway.rtmpPort, [{ key: 'stage', tags }]);
});

afterAll(async () => {
  await browser.close();
  await publishers.leave();
  publishers.release();
  await gateway.stop();
});

/** Both can be seen, and nothing of them is beside the window. */
async function expectReadable(finding: Locator, { message, fix }: typeof WARNING): Promise<void> {
  for (const text of [message, fix]) {
    const line = finding.getByText(text);
    await line.waitFor();
    const { x, width } = (await line.boundingBox()) ?? { x: 0, width: Number.POSITIVE_INFINITY };
    expect(x).toBeGreaterThan(0);
    expect(x + width).toBeLessThan(line.page().viewportSize()?.width ?? 0);
  }
}

test.each([
  ['a desk', 1280, 800],
  ['a telephone', 360, 740],
])(
  'the dashboard on %s says what is wrong with a real publisher, and where to change it',
  async (_name, width, height) => {
    const seen = await visit(browser, `${gateway.httpUrl}dashboard`, (page) =>
      page.setViewportSize({ width, height }),
    );
    const card = seen.page.locator('.card', { hasText: 'stage' });
    const warning = card.locator('.finding[data-severity=warning]');
    await expectReadable(warning, WARNING);
    expect(await card.locator('.health').textContent()).toBe('Fair');
    const notice = card.locator('.finding[data-severity=notice]');
    expect(await notice.isVisible()).toBe(false);
    const summary = card.locator('summary');
    expect(await summary.textContent()).toBe('Details and 1 notice');
    await summary.click();
    await expectReadable(notice, NOTICE);
    expectNoComplaints(seen, gateway.httpUrl);
    await seen.page.close();
  },
);
