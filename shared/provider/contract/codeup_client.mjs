// Calls Codeup with the vendor's own client, and lets its schemas read the replies. The folder of
// the installed packages is the first argument, the organization the second, the repository the
// third. YUNXIAO_API_BASE_URL is where it calls.
const [installed, organization, repository] = process.argv.slice(2);
const load = (file) =>
  import(`${installed}/alibabacloud-devops-mcp-server/dist/operations/${file}.js`);

const { getCurrentUserFunc, getUserOrganizationsFunc, getOrganizationDepartmentsFunc,
  listOrganizationRolesFunc } = await load('organization/organization');
const { getOrganizationMembersFunc } = await load('organization/members');
const { listRepositoriesFunc, getRepositoryFunc } = await load('codeup/repositories');
const { listBranchesFunc } = await load('codeup/branches');

await getCurrentUserFunc();
await getUserOrganizationsFunc();
await getOrganizationDepartmentsFunc(organization);
await listOrganizationRolesFunc(organization);
await getOrganizationMembersFunc(organization, 1, 100);
await listRepositoriesFunc(organization, 1, 20);
await getRepositoryFunc(organization, repository);
await listBranchesFunc(organization, repository, 1, 1);
