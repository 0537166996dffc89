import type { OptionTable } from '../../config.js';
import { type Constraint, type ConstraintSpec, resolveConstraint } from '../../constraints/index.js';
import type { Variable } from '../../graph/variable.js';
import { type Initializer, type InitializerSpec, resolveInitializer } from '../../initializers/index.js';
import { type Regularizer, type RegularizerSpec, resolveRegularizer } from '../../regularizers/index.js';
import * as rules from '../../rules.js';
import { Layer, type LayerOptions } from '../layer.js';

export interface AffineOptions extends LayerOptions {
  /** Added to the variance. Default 1e-3. */
  epsilon?: number;
  /** Add a learned offset, beta (default true). */
  center?: boolean;
  /** Multiply by a learned factor, gamma (default true). */
  scale?: boolean;
  /** Default 'zeros'. */
  betaInitializer?: InitializerSpec;
  /** Default 'ones'. */
  gammaInitializer?: InitializerSpec;
  betaRegularizer?: RegularizerSpec;
  gammaRegularizer?: RegularizerSpec;
  betaConstraint?: ConstraintSpec;
  gammaConstraint?: ConstraintSpec;
}

/** Normalizations whose result is scaled by gamma and shifted by beta. */
export abstract class AffineNormalization extends Layer {
  static override readonly options: OptionTable = {
    epsilon: rules.atLeast(0),
    center: rules.flag,
    scale: rules.flag,
    betaInitializer: 'initializer',
    gammaInitializer: 'initializer',
    betaRegularizer: 'regularizer',
    gammaRegularizer: 'regularizer',
    betaConstraint: 'constraint',
    gammaConstraint: 'constraint',
  };
  readonly epsilon: number;
  readonly center: boolean;
  readonly scale: boolean;
  readonly betaInitializer: Initializer;
  readonly gammaInitializer: Initializer;
  readonly betaRegularizer: Regularizer | undefined;
  readonly gammaRegularizer: Regularizer | undefined;
  readonly betaConstraint: Constraint | undefined;
  readonly gammaConstraint: Constraint | undefined;
  gamma: Variable | undefined;
  beta: Variable | undefined;

  constructor(options: AffineOptions) {
    super(options);
    this.epsilon = options.epsilon ?? 1e-3;
    this.center = options.center ?? true;
    this.scale = options.scale ?? true;
    this.betaInitializer = resolveInitializer(options.betaInitializer ?? 'zeros');
    this.gammaInitializer = resolveInitializer(options.gammaInitializer ?? 'ones');
    this.betaRegularizer = resolveRegularizer(options.betaRegularizer);
    this.gammaRegularizer = resolveRegularizer(options.gammaRegularizer);
    this.betaConstraint = resolveConstraint(options.betaConstraint);
    this.gammaConstraint = resolveConstraint(options.gammaConstraint);
    this.supportsMasking = true;
  }

  protected addAffine(shape: readonly number[]): void {
    if (this.scale) {
      this.gamma = this.addWeight('gamma', shape, {
        initializer: this.gammaInitializer,
        regularizer: this.gammaRegularizer,
        constraint: this.gammaConstraint,
      });
    }
    if (this.center) {
      this.beta = this.addWeight('beta', shape, {
        initializer: this.betaInitializer,
        regularizer: this.betaRegularizer,
        constraint: this.betaConstraint,
      });
    }
  }
}
