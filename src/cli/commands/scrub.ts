/** `skein scrub`: reads files again that nobody changed, and finds what the disk damaged. Watches until it is done. */
import { sleep } from '../../base/clock.ts'
import { formatSize, formatSpan } from '../../base/quantities.ts'
import { createSystemClock } from '../../base/system-clock.ts'
import type { ScrubReport } from '../../peer/api-spaces.ts'
import type { Client } from '../client.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { interruptible, withPeer } from '../running-peer.ts'
import { formatTime, safe } from '../terminal.ts'

const lookEveryMs = 500
/** Between two lines where nothing can be drawn over. */
const plainEveryMs = 5_000

export const scrub: Command = {
  summary: 'read files again and find what the disk damaged',
  examples: ['skein scrub', 'skein scrub photos', 'skein scrub --status --json'],
  words: [{ notation: '[space]', about: 'only this one (default: all on this device)' }],
  options: [
    { notation: '--status', about: 'how far it is; it also runs by itself, slowly, once a month' },
    { notation: '--no-wait', about: 'start it and do not watch' },
    { notation: '--stop', about: 'back to the slow pace' },
  ],
  run: check,
}

async function check(call: Invocation): Promise<number> {
  const [space] = call.words
  const params = space === undefined ? {} : { space }
  const reports = await withPeer(call, async (client) => {
    if (isSet(call, 'status')) return await client.call('scrubStatus', params)
    if (isSet(call, 'stop')) return await client.call('scrub', { ...params, action: 'stop' })
    const started = await client.call('scrub', params)
    return call.options['wait'] === false ? started : await watch(call, client, params)
  })
  call.terminal.json(reports)
  if (reports.length === 0) call.terminal.print('No shared folder lies on this device: skein share DIR')
  for (const report of reports) call.terminal.print(describe(report))
  for (const { spaceName, damaged, damagedCount } of reports) {
    for (const { path, cause, fix } of damaged)
      call.terminal.print(safe`! ${spaceName}: ${path}: ${cause}\n    fix: ${fix}`)
    const more = damagedCount - damaged.length
    if (more > 0) call.terminal.print(safe`! ${spaceName}: and ${more} more`)
  }
  return reports.some(({ damagedCount }) => damagedCount > 0) ? exitCodes.failed : exitCodes.ok
}

/** Interrupted, the pass goes on in the peer. */
async function watch(
  call: Invocation,
  client: Client,
  params: { readonly space?: string },
): Promise<readonly ScrubReport[]> {
  const clock = createSystemClock()
  const isDrawn = process.stderr.isTTY && !call.terminal.isJson && process.env['TERM'] !== 'dumb'
  let toldMs = clock.monotonicMs()
  return await interruptible(async (signal) => {
    for (;;) {
      const reports = await client.call('scrubStatus', params)
      const running = reports.filter(({ state, isFast }) => state !== 'idle' && isFast)
      if (isDrawn) process.stderr.write('\r\u001b[K')
      if (running.length === 0) return reports
      const line = running.map(describe).join('; ')
      if (isDrawn) process.stderr.write(line.slice(0, (process.stderr.columns ?? 80) - 1))
      else if (clock.monotonicMs() - toldMs >= plainEveryMs) {
        call.terminal.say(line)
        toldMs = clock.monotonicMs()
      }
      await sleep(clock, lookEveryMs, signal)
    }
  })
}

function describe(report: ScrubReport): string {
  const { spaceName, state, isFast, checkedFiles, totalFiles, checkedBytes, totalBytes } = report
  const { remainingMs, finishedAtMs, foundCount } = report
  const found = foundCount === 0 ? 'no damage' : `${foundCount} damaged`
  if (state === 'idle') {
    const last =
      finishedAtMs === undefined ? 'not read again yet' : `last read through ${formatTime(finishedAtMs)}`
    const count = checkedFiles === 0 ? '' : `, ${checkedFiles} files, ${found}`
    return safe`${spaceName}: ${last}${count}`
  }
  const pace = isFast ? '' : state === 'resting' ? ', waits for rest and power' : ', slowly'
  const left = remainingMs === undefined ? '' : `, ${formatSpan(remainingMs)} left`
  return safe`${spaceName}: ${checkedFiles} of ${totalFiles} files, ${formatSize(checkedBytes)} of ${formatSize(totalBytes)}${left}${pace}, ${found}`
}
