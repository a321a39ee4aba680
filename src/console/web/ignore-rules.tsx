/** The ignore rules of one folder: listed, added and taken out one by one. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { IgnoreList, SpaceStatus } from '../../peer/api-spaces.ts'
import { commandLine } from './format.ts'
import { Action, Fault, Said, useLoad } from './parts.tsx'
import { call } from './session.ts'

export function IgnoreRules({ space }: { readonly space: SpaceStatus }): JSX.Element {
  const [pattern, setPattern] = useState('')
  const change = (body: object): Promise<IgnoreList> => call('POST', `/spaces/${space.id}/ignore`, body)
  const { value, error, reload } = useLoad(() => change({}), space.id)
  return (
    <fieldset>
      <legend>Ignored</legend>
      <Fault error={error} />
      {value?.patterns.length === 0 && <p class="quiet">No rules: everything is synced.</p>}
      <ul class="list">
        {value?.patterns.map((rule) => (
          <li key={`${rule.line} ${rule.pattern}`}>
            <Said text={rule.pattern} />
            <Action
              isQuiet
              label="Take out"
              cli={commandLine('ignore', space.name, '--remove', rule.pattern)}
              run={() => change({ remove: [rule.pattern] }).then(reload)}
            />
          </li>
        ))}
      </ul>
      <label>
        New rule
        <input
          value={pattern}
          placeholder="node_modules/"
          spellcheck={false}
          onInput={(event) => setPattern(event.currentTarget.value)}
        />
      </label>
      <Action
        label="Ignore"
        cli={commandLine('ignore', space.name, pattern === '' ? 'PATTERN' : pattern)}
        isDisabled={pattern === ''}
        run={() => change({ add: [pattern] }).then(() => (setPattern(''), reload()))}
      />
    </fieldset>
  )
}
