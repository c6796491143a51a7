// Azure App Service with the application and the proxy as containers of one web app. README.md has
// the commands, also those that create the existing resources that this file refers to.
// https://learn.microsoft.com/azure/templates/microsoft.web/sites/sitecontainers
targetScope = 'resourceGroup'

@description('Name of the web app, its plan and its identity')
param name string = '{{ cookiecutter.project_slug }}'

@description('Images in the registry below, with their digests')
param proxyImage string
param appImage string

@description('Azure Container Registry that holds the images')
param registryName string

@description('Key Vault that holds the secret key')
param vaultName string

@description('At least B1: smaller plans do not support alwaysOn')
param planSku string = 'B1'

@description('Host names that the service responds to, separated by commas')
param trustedHosts string = '${name}-${uniqueString(resourceGroup().id)}.azurewebsites.net'

param location string = resourceGroup().location

// Built-in roles of Azure: AcrPull, and Key Vault Secrets User.
var pullRole = '7f951dda-4ed3-4680-a7ca-43fe172d538d'
var readSecretsRole = '4633458b-17de-408a-b874-0445c86b69e6'

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' existing = {
  name: registryName
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {
  name: vaultName
}

// The web app's identity for the registry and the vault. A system-assigned identity would exist
// only after the web app: too late for its first start.
resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: name
  location: location
}

resource mayPull 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(registry.id, identity.id, pullRole)
  scope: registry
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', pullRole)
  }
}

resource mayReadSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identity.id, readSecretsRole)
  scope: vault
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', readSecretsRole)
  }
}

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: name
  location: location
  kind: 'linux'
  sku: {
    name: planSku
  }
  properties: {
    reserved: true
  }
}

resource web 'Microsoft.Web/sites@2024-11-01' = {
  name: '${name}-${uniqueString(resourceGroup().id)}'
  location: location
  kind: 'app,linux,container'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identity.id
    siteConfig: {
      linuxFxVersion: 'sitecontainers'
      alwaysOn: true
      http20Enabled: true
      minTlsVersion: '1.2'
      ftpsState: 'Disabled'
      // Requested every minute. If there are several instances, one that fails gets no requests.
      healthCheckPath: '/health/ready'
      // Each container below gets only those of these settings that it names.
      appSettings: [
        // An instance gets requests once this path returns 200. By default any status is accepted,
        // even the proxy's 502 while the application is still starting.
        { name: 'WEBSITE_WARMUP_PATH', value: '/health/ready' }
        { name: 'WEBSITE_WARMUP_STATUSES', value: '200' }
        { name: 'WEBSITES_CONTAINER_START_TIME_LIMIT', value: '230' }
        // GRACEFUL_TIMEOUT, plus up to 10 seconds for a container to exit, plus a margin.
        { name: 'WEBSITES_CONTAINER_STOP_TIME_LIMIT', value: '40' }
        // Nothing is stored in /home.
        { name: 'WEBSITES_ENABLE_APP_SERVICE_STORAGE', value: 'false' }
        { name: 'REQUEST_TIMEOUT', value: '30' }
        { name: 'GRACEFUL_TIMEOUT', value: '20' }
        { name: 'MAX_CONTENT_LENGTH', value: '10485760' }
        // All containers share the loopback interface.
        { name: 'UPSTREAM', value: '127.0.0.1:8000' }
        // App Service's front end adds the client's address to X-Forwarded-For, with a port that the
        // proxy removes, and sets X-Forwarded-Proto. Add 1 for Front Door or a gateway in front.
        { name: 'TRUSTED_PROXY_COUNT', value: '1' }
        { name: 'APP_PORT', value: '8000' }
        { name: 'WEB_THREADS', value: '8' }
        { name: 'TRUSTED_HOSTS', value: trustedHosts }
        { name: 'SECRET_KEY', value: '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=secret-key)' }
{%- if cookiecutter.database == "postgresql" %}
        { name: 'DATABASE_URL', value: '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=database-url)' }
{%- endif %}
      ]
    }
  }
  dependsOn: [
    mayPull
    mayReadSecrets
  ]
}

// Disables deployment with a password, by FTP and Kudu: images come from the registry.
resource noPasswordsForFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: web
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource noPasswordsForKudu 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: web
  name: 'scm'
  properties: {
    allow: false
  }
}

// Receives the requests. App Service starts containers in no particular order: until the
// application has started, the proxy responds with 502, and the warm-up tries again.
resource proxy 'Microsoft.Web/sites/sitecontainers@2024-11-01' = {
  parent: web
  name: 'proxy'
  properties: {
    image: proxyImage
    isMain: true
    targetPort: '8080'
    authType: 'UserAssigned'
    userManagedIdentityClientId: identity.properties.clientId
    inheritAppSettingsAndConnectionStrings: false
    // Each value is the name of an app setting.
    environmentVariables: [
      { name: 'UPSTREAM', value: 'UPSTREAM' }
      { name: 'TRUSTED_PROXY_COUNT', value: 'TRUSTED_PROXY_COUNT' }
      { name: 'REQUEST_TIMEOUT', value: 'REQUEST_TIMEOUT' }
      { name: 'GRACEFUL_TIMEOUT', value: 'GRACEFUL_TIMEOUT' }
      { name: 'MAX_CONTENT_LENGTH', value: 'MAX_CONTENT_LENGTH' }
    ]
  }
}

resource app 'Microsoft.Web/sites/sitecontainers@2024-11-01' = {
  parent: web
  name: 'app'
  properties: {
    image: appImage
    isMain: false
    targetPort: '8000'
    authType: 'UserAssigned'
    userManagedIdentityClientId: identity.properties.clientId
    inheritAppSettingsAndConnectionStrings: false
    environmentVariables: [
      { name: 'PORT', value: 'APP_PORT' }
      { name: 'WEB_THREADS', value: 'WEB_THREADS' }
      { name: 'REQUEST_TIMEOUT', value: 'REQUEST_TIMEOUT' }
      { name: 'GRACEFUL_TIMEOUT', value: 'GRACEFUL_TIMEOUT' }
      { name: 'MAX_CONTENT_LENGTH', value: 'MAX_CONTENT_LENGTH' }
      { name: 'TRUSTED_HOSTS', value: 'TRUSTED_HOSTS' }
      { name: 'SECRET_KEY', value: 'SECRET_KEY' }
{%- if cookiecutter.database == "postgresql" %}
      { name: 'DATABASE_URL', value: 'DATABASE_URL' }
{%- endif %}
    ]
  }
}

output url string = 'https://${web.properties.defaultHostName}'
