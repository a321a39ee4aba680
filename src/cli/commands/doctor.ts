/** `skein doctor`: looks at the home and asks the running peer; for each failure the cause and the one fix. */
import { asSkeinError, hasCode } from '../../base/errors.ts'
import type { DoctorCheck } from '../../peer/api.ts'
import { findHomeOwner, inspectHome } from '../../program/home-check.ts'
import { readLogTail } from '../../program/log-line.ts'
import type { Command, Invocation } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatTime, safe } from '../terminal.ts'

const timeoutMs = 15_000

export const doctor: Command = {
  summary: 'what is wrong, and the one fix for each',
  examples: ['skein doctor', 'skein doctor --json | jq ".[] | select(.ok | not)"'],
  run: examine,
}

async function examine(call: Invocation): Promise<number> {
  const checks = await collect(call)
  call.terminal.json(checks)
  for (const check of checks) {
    if (check.ok) call.terminal.print(safe`ok    ${check.name}`)
    else {
      call.terminal.print(safe`FAIL  ${check.name}: ${check.cause}`)
      if (check.fix !== undefined) call.terminal.print(safe`      fix: ${check.fix}`)
    }
  }
  const failedCount = checks.filter((check) => !check.ok).length
  call.terminal.print(
    failedCount === 0 ? 'All is well.' : `${failedCount} of ${checks.length} checks failed.`,
  )
  return failedCount === 0 ? exitCodes.ok : exitCodes.failed
}

async function collect(call: Invocation): Promise<readonly DoctorCheck[]> {
  try {
    return await withPeer(call, async (client) => {
      const checks = await client.call('doctor', {}, timeoutMs)
      const { desktop, state } = await client.call('clipState', {}, timeoutMs)
      const isBlind = desktop === 'memory' && state === 'ready' && hasDesktop()
      return [
        { name: 'background peer', ok: true },
        ...checks.map((check) => (isBlind && check.name === 'clipboard' ? blindClipboard : check)),
      ]
    })
  } catch (error) {
    return [await checkPeer(call.home, error), ...inspectHome(call.home), ...checkLastRun(call.home)]
  }
}

/** A person sits at a desktop that the peer does not know of: it was started before it, or from elsewhere. */
const hasDesktop = (): boolean =>
  [process.env['DISPLAY'], process.env['WAYLAND_DISPLAY']].some((display) => (display ?? '') !== '')

const blindClipboard: DoctorCheck = {
  name: 'clipboard',
  ok: false,
  cause: 'the peer was started without this desktop, so what is copied here stays here',
  fix: 'skein down && skein up',
}

async function checkPeer(home: string, error: unknown): Promise<DoctorCheck> {
  const name = 'background peer'
  const known = asSkeinError(error)
  const owner = await findHomeOwner(home)
  if (owner !== undefined) {
    const cause = `process ${owner} holds the home but does not answer: ${known.message}`
    return { name, ok: false, cause, fix: `kill ${owner}; skein up` }
  }
  const fix = known.fix ?? 'skein logs'
  return { name, ok: false, cause: known.message, fix: hasCode(error, 'not.running') ? 'skein up' : fix }
}

/** How the last run ended, when it did not end well. */
function checkLastRun(home: string): readonly DoctorCheck[] {
  const name = 'last run'
  const last = readLogTail(home, 20).findLast((line) => line.level === 'error' || line.message === 'stopped')
  if (last === undefined || last.message === 'stopped') return [{ name, ok: true }]
  const { fix } = last.fields
  const reason = typeof last.fields['error'] === 'string' ? `: ${last.fields['error']}` : ''
  return [
    {
      name,
      ok: false,
      cause: `${formatTime(last.atMs)} ${last.message}${reason}`,
      fix: typeof fix === 'string' ? fix : 'skein logs says more; then skein up',
    },
  ]
}
