/** CPU time that `run` takes in this process, in ms. Unlike the time of day it does not depend on who else is busy. */
export function cpuMs(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
