/** Conflicts: the versions side by side, and one click to choose. What is not chosen goes to the former versions. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { Conflict, ConflictDetail, ConflictDiff, ConflictList } from '../../peer/api-spaces.ts'
import { formatSize } from '../../base/quantities.ts'
import { commandLine, formatTime } from './format.ts'
import { Action, Card, Fault, Said, SaidLines, useLoad } from './parts.tsx'
import { call, get } from './session.ts'

export function Conflicts({ count }: { readonly count: number }): JSX.Element | null {
  const { value, error, reload } = useLoad(() => get<ConflictList>('/conflicts'), count)
  const found = value?.conflicts ?? []
  if (found.length === 0 && count === 0) return null
  return (
    <Card title={`Conflicts (${found.length})`}>
      <p class="quiet">
        Two devices changed the same file and the changes do not merge. All versions are kept until you
        choose.
      </p>
      <Fault error={error} />
      <ul class="list">
        {found.map((conflict) => (
          <One key={`${conflict.spaceId} ${conflict.path}`} conflict={conflict} onChange={reload} />
        ))}
      </ul>
    </Card>
  )
}

interface OneProps {
  readonly conflict: Conflict
  readonly onChange: () => void
}

function One({ conflict, onChange }: OneProps): JSX.Element {
  const [detail, setDetail] = useState<ConflictDetail>()
  const path = `${conflict.directory}/${conflict.path}`
  const pick = (choice: 'mine' | 'theirs' | 'both'): Promise<unknown> =>
    call('POST', '/conflicts/pick', { path, choice }).then(onChange)
  return (
    <li class="item" data-conflict={conflict.path}>
      <h3>
        <Said text={conflict.path} /> <span class="quiet">in</span> <Said text={conflict.spaceName} />
      </h3>
      <div class="columns">
        {conflict.sides.map((side) => (
          <div key={side.path} class="side">
            <h4>
              <Said text={side.device} />
              {side.isMine && ' (this device)'}
            </h4>
            <p class="quiet">
              {side.isMain ? 'has the name' : <Said text={side.path} />}, {side.kind},{' '}
              {formatSize(side.sizeBytes)}, {formatTime(side.modifiedAtMs)}
            </p>
          </div>
        ))}
      </div>
      <Action
        isQuiet
        label="Compare"
        cli={commandLine('conflicts', 'show', path)}
        run={() => get<ConflictDetail>('/conflicts/detail', { path }).then(setDetail)}
      />
      {detail?.diffs.map((diff) => (
        <Difference key={diff.path} diff={diff} />
      ))}
      <Action
        label="Keep mine"
        cli={commandLine('conflicts', 'pick', path, '--mine')}
        run={() => pick('mine')}
      />
      <Action
        label="Keep theirs"
        cli={commandLine('conflicts', 'pick', path, '--theirs')}
        run={() => pick('theirs')}
      />
      <Action
        label="Keep both"
        cli={commandLine('conflicts', 'pick', path, '--both')}
        run={() => pick('both')}
      />
    </li>
  )
}

/** Left the version with the name, right the copy; a sign says the same as the colour. */
function Difference({ diff }: { readonly diff: ConflictDiff }): JSX.Element {
  if (diff.kind !== 'text') return <p class="quiet">The contents cannot be shown as text ({diff.kind}).</p>
  return (
    <div class="diff">
      {diff.hunks.map((hunk) => (
        <div key={`${hunk.oldStart} ${hunk.newStart}`} class="columns">
          {(['-', '+'] as const).map((sign) => (
            <div key={sign} class="side">
              {hunk.lines
                .filter((line) => line.startsWith(' ') || line.startsWith(sign))
                .map((line, index) => (
                  <div key={index} class={line.startsWith(' ') ? 'same' : sign === '-' ? 'minus' : 'plus'}>
                    <SaidLines text={line} />
                  </div>
                ))}
            </div>
          ))}
        </div>
      ))}
      {diff.isCut && <p class="quiet">There is more than is shown.</p>}
    </div>
  )
}
