/** `skein spaces`: shared folders, how far they are, and what waits and why. */
import type { Command, Invocation } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatProblems, formatSpaces } from '../space-lines.ts'

export const spaces: Command = {
  summary: 'shared folders, their progress, and what waits and why',
  examples: ['skein spaces', 'skein spaces --json | jq -r ".[].directory"'],
  run: list,
}

async function list(call: Invocation): Promise<number> {
  const { terminal } = call
  const found = await withPeer(call, (client) => client.call('spaces', {}))
  terminal.json(found)
  terminal.print(
    found.length === 0 ? 'Nothing is shared yet: skein share DIR' : formatSpaces(found, terminal.columns),
  )
  const problems = formatProblems(found)
  if (problems !== '') terminal.print(problems)
  return exitCodes.ok
}
