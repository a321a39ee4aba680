/** `skein deletions`: many files vanished at once, and their deletion waits for a person to say yes or no. */
import { SkeinError } from '../../base/errors.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { safe } from '../terminal.ts'

const timeoutMs = 120_000

export const deletions: Command = {
  summary: 'let deletions that were held back happen, or undo them',
  examples: ['skein deletions', 'skein deletions notes --undo', 'skein deletions notes --allow'],
  words: [{ notation: '[space]', about: 'whose deletions are meant' }],
  options: [
    { notation: '--undo', about: 'bring the files back from the other devices or from versions' },
    { notation: '--allow', about: 'delete them on all devices; they stay in versions' },
  ],
  run: decide,
}

async function decide(call: Invocation): Promise<number> {
  const [space] = call.words
  const verdicts = (['allow', 'undo'] as const).filter((name) => isSet(call, name))
  const [verdict] = verdicts
  if (verdict === undefined) return await list(call, space)
  if (verdicts.length > 1 || space === undefined)
    throw new SkeinError('usage', 'one folder and one of --allow and --undo', {
      fix: 'skein deletions SPACE --undo',
    })
  const found = await withPeer(call, (client) => client.call('deletions', { space, verdict }, timeoutMs))
  call.terminal.json(found)
  call.terminal.print(
    verdict === 'allow'
      ? safe`The files of ${found.name} are deleted everywhere.`
      : safe`${found.name} brings them back.`,
  )
  return exitCodes.ok
}

async function list(call: Invocation, space: string | undefined): Promise<number> {
  const all = await withPeer(call, (client) => client.call('spaces', {}))
  const held = all.filter(
    (one) =>
      (one.heldDeletionCount ?? 0) > 0 && (space === undefined || one.name === space || one.id === space),
  )
  call.terminal.json(held)
  if (held.length === 0) call.terminal.print('No deletions wait.')
  for (const { name, heldDeletionCount } of held) {
    call.terminal.print(safe`${name}: ${heldDeletionCount} deletions wait`)
    call.terminal.print(safe`  to delete them everywhere: skein deletions ${name} --allow`)
    call.terminal.print(safe`  to bring them back:        skein deletions ${name} --undo`)
  }
  return exitCodes.ok
}
