// Makes sure the programs that the tests publish and play with are there. On Debian and Ubuntu as root it installs
// what is missing; elsewhere it says which command to run.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const PROGRAMS = {
  ffmpeg: 'ffmpeg',
  ffprobe: 'ffmpeg',
  chromium: 'chromium',
  nginx: 'nginx-light',
  openssl: 'openssl',
  'gst-launch-1.0': 'gstreamer1.0-tools',
  rtmpdump: 'rtmpdump',
};
const GSTREAMER_PLUGINS = ['base', 'good', 'bad', 'ugly'].map((set) => `gstreamer1.0-plugins-${set}`);
/** GStreamer elements by the plugin package that brings them. */
const ELEMENTS = {
  rtmp2sink: 'bad',
  rtmpsink: 'bad',
  x264enc: 'ugly',
  voaacenc: 'bad',
  flvmux: 'good',
  videotestsrc: 'base',
};

function works(program, args) {
  const { error, status } = spawnSync(program, args, { stdio: 'ignore' });
  return error === undefined && status === 0;
}

function isInstalled(program) {
  return works('sh', ['-c', `command -v ${program}`]);
}

/** For RTMPS: built into nginx itself or, on Debian and Ubuntu, a module that is a package. */
function nginxHasStream() {
  const { stderr } = spawnSync('nginx', ['-V'], { encoding: 'utf8' });
  return (
    / --with-stream(?!\S)/.test(stderr ?? '') || existsSync('/usr/lib/nginx/modules/ngx_stream_module.so')
  );
}

function missingPackages() {
  const packages = new Set();
  for (const [program, name] of Object.entries(PROGRAMS)) if (!isInstalled(program)) packages.add(name);
  if (!nginxHasStream()) packages.add('libnginx-mod-stream');
  const gstreamer = isInstalled('gst-inspect-1.0');
  const elements = Object.keys(ELEMENTS).filter(
    (element) => !gstreamer || !works('gst-inspect-1.0', [element]),
  );
  if (elements.length > 0) for (const name of GSTREAMER_PLUGINS) packages.add(name);
  return [...packages];
}

function run(program, args) {
  const { status } = spawnSync(program, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (status !== 0) process.exit(status ?? 1);
}

const missing = missingPackages();
if (missing.length > 0) {
  const install = ['install', '--yes', '--quiet', '--no-install-recommends', ...missing];
  if (!existsSync('/usr/bin/apt-get') || process.getuid?.() !== 0) {
    console.error(`The tests need programs that are not installed: ${missing.join(', ')}`);
    console.error(`On Debian or Ubuntu: sudo apt-get update && sudo apt-get ${install.join(' ')}`);
    console.error(
      'Elsewhere install ffmpeg, Chromium, GStreamer (base, good, bad, ugly), rtmpdump, OpenSSL and nginx with its stream module.',
    );
    process.exit(1);
  }
  console.log(`Installing what the tests need: ${missing.join(', ')}`);
  run('apt-get', ['update', '--quiet']);
  run('apt-get', install);
}
