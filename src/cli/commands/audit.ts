/** `skein audit`: the newest entries of the hash-chained record, or a check of the whole chain. */
import { printableJson } from '../../base/printable.ts'
import type { Command, Invocation } from '../command.ts'
import { textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatTime, safe } from '../terminal.ts'
import { parseCount } from './logs.ts'

const defaultEntries = 50

export const audit: Command = {
  summary: 'the tamper-evident record of rights',
  examples: ['skein audit', 'skein audit --lines 200', 'skein audit verify'],
  options: [{ notation: '-n, --lines <count>', about: `newest entries shown (default ${defaultEntries})` }],
  verbs: {
    verify: { summary: 'check the whole chain', examples: ['skein audit verify'], run: verify },
  },
  run: show,
}

async function show(call: Invocation): Promise<number> {
  const limit = parseCount(textOption(call, 'lines') ?? String(defaultEntries))
  const entries = await withPeer(call, (client) => client.call('audit', { limit }))
  call.terminal.json(entries)
  if (entries.length === 0) call.terminal.say('Nothing is on record yet.')
  for (const entry of entries) {
    const details = entry.details === undefined ? '' : ` ${printableJson(entry.details)}`
    const what = `${entry.action} ${entry.subject ?? ''}`.trim()
    call.terminal.print(safe`${entry.sequence}  ${formatTime(entry.atMs)}  ${entry.actor}  ${what}${details}`)
  }
  return exitCodes.ok
}

async function verify(call: Invocation): Promise<number> {
  const verdict = await withPeer(call, (client) => client.call('auditVerify', {}, 120_000))
  call.terminal.json(verdict)
  const text = verdict.ok
    ? verdict.entryCount === 0
      ? 'Nothing is on record yet.'
      : safe`the chain of ${verdict.entryCount} entries is whole; its newest hash is ${verdict.head ?? 'not signed yet'}`
    : safe`the chain is broken at entry ${verdict.badSequence}: ${verdict.reason ?? 'unknown'}`
  call.terminal.print(text)
  return verdict.ok ? exitCodes.ok : exitCodes.failed
}
