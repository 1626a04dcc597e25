"""The environment, its key, the package and the memory that all functions of a stack share."""

from collections.abc import Mapping
from pathlib import Path

import pulumi
import pulumi_aws as aws

from infra import package

MEMORY_MB = 256
ARCHITECTURE = "arm64"


class Runtime(pulumi.ComponentResource):
    """The environment, key, package and memory of functions.

    Attributes:
        environment: Their environment variables.
        key: The key that encrypts the environment.
    """

    environment: Mapping[str, pulumi.Input[str]]
    key: aws.kms.Key

    def __init__(
        self,
        name: str,
        *,
        environment: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the key.

        Args:
            name: Its name.
            environment: The environment variables of each function.
            opts: Pulumi's options.
        """
        super().__init__("s3logs:infra:Runtime", name, None, opts)
        self.environment = environment
        # Only a role that may use this key can read the functions' secrets.
        self.key = aws.kms.Key(
            name,
            description="The Twilio secret in the environment of the functions",
            enable_key_rotation=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._packages: dict[Path, pulumi.FileArchive] = {}
        self.register_outputs({"key": self.key.arn})

    @property
    def python(self) -> str:
        """Lambda's name for the Python that runs this program.

        Raises:
            pulumi.RunError: Lambda does not run it.
        """
        try:
            return package.runtime()
        except package.PackageError as error:
            raise pulumi.RunError(str(error)) from None

    def code(self, folder: Path) -> pulumi.FileArchive:
        """Return Lambda's code of a package's folder, built once.

        Raises:
            pulumi.RunError: It cannot be built.
        """
        if folder not in self._packages:
            try:
                built = package.build(folder)
            except package.PackageError as error:
                raise pulumi.RunError(str(error)) from None
            self._packages[folder] = pulumi.FileArchive(str(built))
        return self._packages[folder]
