/** `skein token`: scoped, expiring tokens for programs that talk to this peer. */
import { SkeinError } from '../../base/errors.ts'
import type { TokenMintParams } from '../../peer/api.ts'
import type { Command, Invocation } from '../command.ts'
import { textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatTable, formatTime, safe } from '../terminal.ts'

export const token: Command = {
  summary: 'scoped, expiring tokens',
  examples: ['skein token mint status:read --for 1h', 'skein token list', 'skein token revoke JTI'],
  verbs: {
    mint: {
      summary: 'make a token; it is shown once',
      examples: [
        'skein token mint status:read',
        'skein token mint "file:read:/notes/**" --for 8h --audience backup',
      ],
      words: [{ notation: '<scopes...>', about: 'what it may do, such as file:read:/notes/**' }],
      options: [
        {
          notation: '--for <time>',
          about: 'how long it is good: 90s, 15m, 8h, 7d (default: as the peer decides)',
        },
        { notation: '--audience <name>', about: 'the program it is meant for' },
      ],
      run: mint,
    },
    list: { summary: 'tokens made here', examples: ['skein token list'], run: list },
    revoke: {
      summary: 'make a token void',
      examples: ['skein token revoke 7f3a'],
      words: [{ notation: '<jti>', about: 'its id, from token list' }],
      run: revoke,
    },
  },
}

const unitsMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** @returns ms. @throws `usage`. */
export function parseSpan(text: string): number {
  const match = /^(\d{1,6})([smhd])$/.exec(text)
  const unitMs = unitsMs[match?.[2] ?? '']
  if (match === null || unitMs === undefined) {
    throw new SkeinError('usage', `"${text}" is no length of time`, { fix: 'write it as 90s, 15m, 8h or 7d' })
  }
  return Number(match[1]) * unitMs
}

async function mint(call: Invocation): Promise<number> {
  const lifetime = textOption(call, 'for')
  const audience = textOption(call, 'audience')
  const params: TokenMintParams = {
    scopes: call.words,
    ...(lifetime === undefined ? {} : { lifetimeMs: parseSpan(lifetime) }),
    ...(audience === undefined ? {} : { audience }),
  }
  const made = await withPeer(call, (client) => client.call('tokenMint', params))
  call.terminal.json(made)
  call.terminal.print(safe`${made.token}`)
  call.terminal.say(safe`id ${made.jti}, good until ${formatTime(made.expiresAtMs)}; it is not shown again`)
  return exitCodes.ok
}

async function list(call: Invocation): Promise<number> {
  const found = await withPeer(call, (client) => client.call('tokenList', {}))
  call.terminal.json(found)
  if (found.length === 0) {
    call.terminal.say('No tokens yet: skein token mint SCOPE')
    return exitCodes.ok
  }
  const rows = found.map((item) => [
    item.jti,
    item.state,
    formatTime(item.expiresAtMs),
    item.audience,
    item.scopes.join(' '),
  ])
  call.terminal.print(formatTable(['ID', 'STATE', 'UNTIL', 'FOR', 'SCOPES'], rows))
  return exitCodes.ok
}

async function revoke(call: Invocation): Promise<number> {
  const [jti = ''] = call.words
  await withPeer(call, (client) => client.call('tokenRevoke', { jti }))
  call.terminal.json({ jti })
  call.terminal.print(safe`token ${jti} is void`)
  return exitCodes.ok
}
