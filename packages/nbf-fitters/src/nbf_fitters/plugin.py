"""What this package offers to the plugin manager. Imports no torch."""

from nbf_core.plugins import ComponentEntry, hookimpl

NBF_CONTRACT = 1


@hookimpl
def nbf_fitters():
    yield ComponentEntry(
        name="staged",
        target="nbf_fitters.build:staged",
        config="nbf_fitters.build_config:BuiltStagedConfig",
        summary="Adam in stages on features, keypoints and priors, from several starts (3DNBF)",
    )
    yield ComponentEntry(
        name="smplify",
        target="nbf_fitters.build:smplify",
        config="nbf_fitters.build_config:BuiltSmplifyConfig",
        summary="keypoints and priors alone, the priors loosened from stage to stage (SMPLify)",
    )
    yield ComponentEntry(
        name="correspondence",
        target="nbf_fitters.build:correspondence",
        config="nbf_fitters.build_config:BuiltCorrespondenceConfig",
        summary="pixels matched to kernels, then robust Gauss-Newton from several starts; fast, needs good features",
    )


@hookimpl
def nbf_priors():
    yield ComponentEntry(
        name="gaussian-pose",
        target="nbf_fitters.priors:GaussianPosePrior",
        config="nbf_fitters.config:GaussianPoseConfig",
        summary="Mahalanobis distance of the body pose to a Gaussian of real poses",
    )
    yield ComponentEntry(
        name="joint-angle",
        target="nbf_fitters.priors:JointAnglePrior",
        config="nbf_fitters.config:JointAngleConfig",
        summary="elbows and knees that bend backwards cost exponentially",
    )
    yield ComponentEntry(
        name="shape",
        target="nbf_fitters.priors:ShapePrior",
        config="nbf_fitters.config:ShapeConfig",
        summary="squared norm of the shape beyond a free range",
    )
    yield ComponentEntry(
        name="joint",
        target="nbf_fitters.priors_joints:JointPrior",
        config="nbf_fitters.config:JointConfig",
        summary="the published prior of elbows and knees: exp(-|u|)^2 of normalised axis-angles",
    )
    yield ComponentEntry(
        name="joint-limits",
        target="nbf_fitters.priors_joints:JointLimitsPrior",
        config="nbf_fitters.config:JointLimitsConfig",
        summary="angles beyond a joint's limits cost exponentially, for the whole body",
    )
    yield ComponentEntry(
        name="smooth-joints",
        target="nbf_fitters.priors_joints:SmoothJointsPrior",
        config="nbf_fitters.config:SmoothJointsConfig",
        summary="absolute change of the joints' rotations between consecutive frames",
    )
    yield ComponentEntry(
        name="mixture-pose",
        target="nbf_fitters.priors_mixture:MixturePosePrior",
        config="nbf_fitters.config:MixturePoseConfig",
        summary="the likeliest of several Gaussians over poses, from a file such as SMPLify's",
    )
    yield ComponentEntry(
        name="vposer",
        target="nbf_fitters.priors_vposer:VPoserPrior",
        config="nbf_fitters.config:VPoserConfig",
        summary="squared norm of the pose's code in a VPoser v1, from the user's own weights",
    )
