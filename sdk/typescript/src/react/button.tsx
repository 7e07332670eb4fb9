import { createElement, type CSSProperties, type ReactElement, type ReactNode, useEffect, useRef } from 'react';

import type { SignInOptions } from '../browser/sign-in.js';
import { defineSignInButton, type SignInButtonElement, type SignInButtonEvents, TAG } from '../widget/element.js';

/** What the button takes. */
export interface AuthAgentButtonProps extends SignInOptions {
  /** `auto`, unless given: as the page's own `color-scheme`. */
  readonly theme?: 'auto' | 'light' | 'dark';
  /** What stands on it, unless `Sign in with Auth Agent`. */
  readonly label?: string;
  readonly disabled?: boolean;
  /** It was pressed. `preventDefault()` keeps it from leaving. */
  readonly onStart?: (event: SignInButtonEvents['auth-agent-start']) => void;
  /** It could not begin. `preventDefault()` keeps it from showing the message itself. */
  readonly onError?: (event: SignInButtonEvents['auth-agent-error']) => void;
  readonly id?: string;
  readonly className?: string;
  readonly style?: CSSProperties;
  /** Shown until scripts run, and where they do not: a link to sign in by the backend, say. */
  readonly children?: ReactNode;
}

/**
 * The sign-in button: the element `<auth-agent-signin>`, the very one that websites without React
 * load. On a server its children are rendered.
 */
export function AuthAgentButton(props: AuthAgentButtonProps): ReactElement {
  const { issuer, clientId, redirectUri, scope, theme, label, disabled, onStart, onError } = props;
  const element = useRef<SignInButtonElement>(null);
  useEffect(() => defineSignInButton(), []);
  useListener(element, 'auth-agent-start', onStart);
  useListener(element, 'auth-agent-error', onError);
  return createElement(
    TAG,
    {
      ref: element,
      'server-url': issuer,
      'client-id': clientId,
      'redirect-uri': redirectUri,
      scope,
      theme,
      label,
      // As an attribute in every React: version 18 writes `false` out.
      disabled: disabled || undefined,
      id: props.id,
      // React 18 leaves `className` of a custom element as it is.
      class: props.className,
      style: props.style,
    },
    props.children,
  );
}

/** Events of custom elements are React's own from version 19 on alone. */
function useListener<Name extends keyof SignInButtonEvents>(
  element: { readonly current: SignInButtonElement | null },
  name: Name,
  listener: ((event: SignInButtonEvents[Name]) => void) | undefined,
): void {
  useEffect(() => {
    const listening = element.current;
    if (!listening || !listener) return undefined;
    const hear = (event: Event): void => listener(event as SignInButtonEvents[Name]);
    listening.addEventListener(name, hear);
    return () => listening.removeEventListener(name, hear);
  }, [element, name, listener]);
}
