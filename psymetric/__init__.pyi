"""What type checkers see of the names that `__init__.py` loads on first use; a test holds the two to each other."""

from psymetric.adaptive.next_pairs import next_pairs as next_pairs
from psymetric.adaptive.savings import PairSavings as PairSavings, pair_savings as pair_savings
from psymetric.administration.administer import administer as administer
from psymetric.administration.tables import to_table as to_table
from psymetric.calibration.abstention import Abstention as Abstention, abstention as abstention
from psymetric.calibration.alternative_annotator import (
    AlternativeAnnotatorTest as AlternativeAnnotatorTest,
    alternative_annotator_test as alternative_annotator_test,
)
from psymetric.calibration.calibrated import (
    CalibratedEstimate as CalibratedEstimate,
    calibrated_estimate as calibrated_estimate,
)
from psymetric.calibration.calibration_map import CalibrationMap as CalibrationMap
from psymetric.calibration.conformal import ConformalSets as ConformalSets, conformal_sets as conformal_sets
from psymetric.calibration.distributions import (
    DistributionAgreement as DistributionAgreement,
    distribution_agreement as distribution_agreement,
)
from psymetric.calibration.human_ceiling import HumanCeiling as HumanCeiling, human_ceiling as human_ceiling
from psymetric.calibration.maps import calibrate as calibrate
from psymetric.calibration.next_labels import next_labels as next_labels
from psymetric.calibration.prediction_powered import (
    PredictionPowered as PredictionPowered,
    prediction_powered_mean as prediction_powered_mean,
    prediction_powered_regression as prediction_powered_regression,
)
from psymetric.calibration.prevalence import Prevalence as Prevalence, rogan_gladen as rogan_gladen
from psymetric.calibration.quality import (
    CalibrationQuality as CalibrationQuality,
    calibration_quality as calibration_quality,
)
from psymetric.calibration.reliability_diagram import (
    ReliabilityDiagram as ReliabilityDiagram,
    reliability_diagram as reliability_diagram,
)
from psymetric.core.programs import keep_programs as keep_programs
from psymetric.data.connectivity import Connectivity as Connectivity, connectivity as connectivity
from psymetric.data.nonresponse import NonResponse as NonResponse
from psymetric.data.pairs import PairTable as PairTable
from psymetric.data.rankings import RankingTable as RankingTable
from psymetric.data.rated_pairs import pairs_from_ratings as pairs_from_ratings
from psymetric.data.rated_rankings import rankings_from_ratings as rankings_from_ratings
from psymetric.data.responses import ResponseTable as ResponseTable
from psymetric.data.scores import Scores as Scores
from psymetric.design.best_worst_design import BestWorstDesign as BestWorstDesign, best_worst_sets as best_worst_sets
from psymetric.design.pair_designs import (
    PairDesign as PairDesign,
    linked_pairs as linked_pairs,
    round_robin as round_robin,
)
from psymetric.design.plan import Plan as Plan, plan as plan
from psymetric.design.study import Study as Study
from psymetric.diagnostics.bias import bias_analysis as bias_analysis
from psymetric.diagnostics.categories import category_statistics as category_statistics
from psymetric.diagnostics.characteristic_curves import (
    CharacteristicCurves as CharacteristicCurves,
    characteristic_curves as characteristic_curves,
)
from psymetric.diagnostics.class_number import ClassComparison as ClassComparison, compare_classes as compare_classes
from psymetric.diagnostics.components import residual_components as residual_components
from psymetric.diagnostics.cyclic_triples import CyclicTriples as CyclicTriples, cyclic_triples as cyclic_triples
from psymetric.diagnostics.dif import (
    DifferentialFunctioning as DifferentialFunctioning,
    differential_functioning as differential_functioning,
)
from psymetric.diagnostics.displacement import displacement as displacement
from psymetric.diagnostics.drift import drift as drift
from psymetric.diagnostics.facets import facet_summary as facet_summary
from psymetric.diagnostics.information import (
    InformationCriteria as InformationCriteria,
    information_criteria as information_criteria,
)
from psymetric.diagnostics.information_curves import (
    InformationCurves as InformationCurves,
    information_curves as information_curves,
)
from psymetric.diagnostics.item_fit import item_fit as item_fit
from psymetric.diagnostics.judge_agreement import JudgeAgreement as JudgeAgreement, judge_agreement as judge_agreement
from psymetric.diagnostics.judge_dependence import (
    JudgeDependence as JudgeDependence,
    judge_dependence as judge_dependence,
)
from psymetric.diagnostics.judge_quality import JudgeQuality as JudgeQuality, judge_quality as judge_quality
from psymetric.diagnostics.limited_information import limited_information as limited_information
from psymetric.diagnostics.linking import Link as Link, link as link
from psymetric.diagnostics.local_dependence import residual_correlations as residual_correlations
from psymetric.diagnostics.mantel_haenszel import mantel_haenszel as mantel_haenszel
from psymetric.diagnostics.pair_judges import PairJudges as PairJudges, pair_judges as pair_judges
from psymetric.diagnostics.pair_residuals import pair_residuals as pair_residuals
from psymetric.diagnostics.person_fit import person_fit as person_fit
from psymetric.diagnostics.predictive import posterior_predictive as posterior_predictive
from psymetric.diagnostics.ranking_judges import ranking_judges as ranking_judges
from psymetric.diagnostics.rasch_tests import andersen_test as andersen_test, martin_loef_test as martin_loef_test
from psymetric.diagnostics.reliability import (
    ScaleReliability as ScaleReliability,
    scale_reliability as scale_reliability,
    score_reliability as score_reliability,
)
from psymetric.diagnostics.residuals import fit_statistics as fit_statistics
from psymetric.diagnostics.sampling import sampling_diagnostics as sampling_diagnostics
from psymetric.diagnostics.swap_consistency import swap_consistency as swap_consistency
from psymetric.estimation.bootstrap import Bootstrap as Bootstrap, bootstrap as bootstrap
from psymetric.estimation.conditional_ml import ConditionalML as ConditionalML
from psymetric.estimation.fit import Fit as Fit
from psymetric.estimation.fitting import FitSet as FitSet, fit as fit, fit_each as fit_each
from psymetric.estimation.joint_ml import JointML as JointML
from psymetric.estimation.map_laplace import MAP as MAP, Laplace as Laplace
from psymetric.estimation.marginal_ml import MarginalML as MarginalML
from psymetric.estimation.nuts import NUTS as NUTS
from psymetric.estimation.pymc_nuts import PyMCNUTS as PyMCNUTS
from psymetric.estimation.robust import robust_errors as robust_errors
from psymetric.estimation.svi import SVI as SVI
from psymetric.instruments.importers.alpaca_eval import read_alpaca_eval as read_alpaca_eval
from psymetric.instruments.importers.arena import read_arena as read_arena
from psymetric.instruments.importers.council import read_council as read_council
from psymetric.instruments.importers.llmbar import read_llmbar as read_llmbar
from psymetric.instruments.importers.mt_bench import (
    read_mt_bench as read_mt_bench,
    read_mt_bench_scores as read_mt_bench_scores,
)
from psymetric.instruments.library import load_instrument as load_instrument
from psymetric.models.best_worst import BestWorst as BestWorst
from psymetric.models.bradley_terry import BradleyTerry as BradleyTerry
from psymetric.models.dawid_skene import DawidSkene as DawidSkene
from psymetric.models.family_dawid_skene import FamilyDawidSkene as FamilyDawidSkene
from psymetric.models.four_pl import FourPL as FourPL
from psymetric.models.generalized_partial_credit import GeneralizedPartialCredit as GeneralizedPartialCredit
from psymetric.models.glad import GLAD as GLAD
from psymetric.models.graded_response import GradedResponse as GradedResponse
from psymetric.models.hierarchical_dawid_skene import HierarchicalDawidSkene as HierarchicalDawidSkene
from psymetric.models.hierarchical_rater import HierarchicalRater as HierarchicalRater
from psymetric.models.judge_mixture import JudgeMixture as JudgeMixture
from psymetric.models.mace import MACE as MACE
from psymetric.models.many_facet import ManyFacetRasch as ManyFacetRasch
from psymetric.models.nominal_response import NominalResponse as NominalResponse
from psymetric.models.one_coin import OneCoin as OneCoin
from psymetric.models.ordinal_probit import OrdinalProbit as OrdinalProbit
from psymetric.models.plackett_luce import PlackettLuce as PlackettLuce
from psymetric.models.population import Population as Population
from psymetric.models.rasch import Rasch as Rasch
from psymetric.models.simplex_judge import SimplexJudge as SimplexJudge
from psymetric.models.testlet import RaschTestlet as RaschTestlet
from psymetric.models.three_pl import ThreePL as ThreePL
from psymetric.models.two_pl import TwoPL as TwoPL
from psymetric.plots.bias_map import plot_bias as plot_bias
from psymetric.plots.calibrated import plot_calibrated as plot_calibrated
from psymetric.plots.category_curves import plot_categories as plot_categories
from psymetric.plots.chains import plot_ranks as plot_ranks, plot_trace as plot_trace
from psymetric.plots.characteristic import plot_characteristic as plot_characteristic
from psymetric.plots.components import plot_components as plot_components
from psymetric.plots.dependence import plot_dependence as plot_dependence
from psymetric.plots.disagreement import plot_entropies as plot_entropies, plot_human_ceiling as plot_human_ceiling
from psymetric.plots.fit_bubbles import plot_fit as plot_fit
from psymetric.plots.information import plot_information as plot_information
from psymetric.plots.judge_quality import plot_judge_quality as plot_judge_quality
from psymetric.plots.leaderboard import plot_leaderboard as plot_leaderboard
from psymetric.plots.mixing import plot_mixing as plot_mixing
from psymetric.plots.pair_savings import plot_savings as plot_savings
from psymetric.plots.pairwise_probabilities import plot_pairwise_probabilities as plot_pairwise_probabilities
from psymetric.plots.prior_sensitivity import plot_prior_sensitivity as plot_prior_sensitivity
from psymetric.plots.rank_probabilities import plot_rank_probabilities as plot_rank_probabilities
from psymetric.plots.reliability_diagram import plot_reliability_diagram as plot_reliability_diagram
from psymetric.plots.risk_coverage import plot_risk_coverage as plot_risk_coverage
from psymetric.plots.ternary import plot_ternary as plot_ternary
from psymetric.plots.wright_map import plot_wright_map as plot_wright_map
from psymetric.reporting.calibration_page import (
    CalibrationReport as CalibrationReport,
    calibration_report as calibration_report,
)
from psymetric.reporting.report import Report as Report, report as report
from psymetric.scoring.candidates import candidate_scores as candidate_scores
from psymetric.scoring.elo import EloRatings as EloRatings, elo_scale as elo_scale
from psymetric.scoring.fair import fair_averages as fair_averages
from psymetric.scoring.ideal import ideal_ratings as ideal_ratings
from psymetric.scoring.latent_classes import (
    ClassMembership as ClassMembership,
    class_membership as class_membership,
    fit_of_class as fit_of_class,
)
from psymetric.scoring.norms import norms as norms
from psymetric.scoring.quasi_variances import quasi_variances as quasi_variances
from psymetric.scoring.ranks import (
    p_best as p_best,
    pairwise_probabilities as pairwise_probabilities,
    rank_intervals as rank_intervals,
    rank_probabilities as rank_probabilities,
)
from psymetric.scoring.score import score as score
from psymetric.scoring.score_table import ScoreTable as ScoreTable, score_table as score_table
from psymetric.scoring.tiers import separability as separability, tiers as tiers
from psymetric.scoring.truth import TrueCategories as TrueCategories, true_categories as true_categories
from psymetric.scoring.win_rates import win_rates as win_rates
from psymetric.sensitivity.identified import (
    IdentifiedSet as IdentifiedSet,
    JudgeWorld as JudgeWorld,
    identified_set as identified_set,
)
from psymetric.sensitivity.identified_assumptions import JudgeAssumptions as JudgeAssumptions
from psymetric.sensitivity.identified_items import (
    ItemIdentification as ItemIdentification,
    item_identification as item_identification,
)
from psymetric.sensitivity.identified_margins import JudgeMargins as JudgeMargins, judge_margins as judge_margins
from psymetric.sensitivity.prior_grid import (
    PriorSensitivity as PriorSensitivity,
    prior_sensitivity as prior_sensitivity,
)

__version__: str
