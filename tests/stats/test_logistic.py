"""Logistic regression: equal to statsmodels, sandwich and all."""

import numpy as np
import pytest
from statsmodels.api import GLM, families

from stats.logistic import clustered_covariance, fit_logistic, logistic


def test_the_fit_and_its_clustered_covariance_are_those_of_statsmodels():
    chance = np.random.default_rng(7)
    design = chance.normal(0, 1, (400, 3))
    y = (chance.random(400) < 1 / (1 + np.exp(-design @ [0.3, 1.0, -0.5]))).astype(float)
    y[:40] = 0.5
    clusters = chance.integers(0, 60, 400)
    _, clusters = np.unique(clusters, return_inverse=True)
    peer = GLM(y, design, family=families.Binomial()).fit(
        tol=1e-12, cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": True}
    )
    fitted = fit_logistic(design, y)
    assert fitted == pytest.approx(peer.params, abs=1e-9)
    assert clustered_covariance(design, y, fitted, clusters) == pytest.approx(peer.cov_params(), rel=1e-7)


def test_what_has_no_maximum_is_large_and_what_is_collinear_is_an_error():
    assert abs(fit_logistic(np.ones((20, 1)), np.ones(20))[0]) > 12
    with pytest.raises(np.linalg.LinAlgError):
        fit_logistic(np.zeros((20, 2)), np.ones(20))


def test_the_logistic_function_at_its_ends():
    assert (logistic(0), logistic(-800), logistic(800)) == (0.5, 0.0, 1.0)
